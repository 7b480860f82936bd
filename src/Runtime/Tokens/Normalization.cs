using System.Buffers;
using System.Globalization;
using System.Text;

namespace Tessera.Runtime.Tokens;

/// <summary>Composes text (NFC), as Qwen's tokenizer does before it splits.</summary>
static class Normalization
{
    const int ShortRun = 64;

    static readonly Rune lowest = new(0x334), highest = new(0x345); // combining marks of classes 1 and 240

    // Under InvariantGlobalization, or without ICU, .NET's NFC returns its input and says nothing; then tokens would be silently wrong.
    static readonly bool works = "e\u0301".Normalize(NormalizationForm.FormC) == "\u00e9";

    public static void Require()
    {
        if (works) return;
        throw new TesseraException(
            "Unicode normalisation does not work in this process: build without InvariantGlobalization, and install ICU (libicu) where it is missing");
    }

    /// <summary>NFC of Unicode text. .NET refuses U+FFFE; nothing composes with it, so that what lies between is composed alone.</summary>
    public static string Compose(string text)
    {
        if (Ascii.IsValid(text)) return text;
        var parts = Ordered(text).Split('\ufffe').Select(part => part.Normalize(NormalizationForm.FormC));
        return string.Join('\ufffe', parts);
    }

    /// <summary>Brings long runs of combining marks into the order that NFC gives them: ICU does so by insertion, for a message of marks in minutes.</summary>
    static string Ordered(string text)
    {
        StringBuilder? ordered = null;
        int copied = 0, start = 0, marks = 0;
        for (int at = 0; at <= text.Length;)
        {
            int used = 1;
            bool mark = at < text.Length && Rune.DecodeFromUtf16(text.AsSpan(at), out var rune, out used) == OperationStatus.Done
                && Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark;
            if (mark && marks++ == 0) start = at;
            if (!mark && marks > ShortRun)
            {
                (ordered ??= new StringBuilder(text.Length)).Append(text, copied, start - copied);
                Order(text.AsSpan(start, at - start), ordered);
                copied = at;
            }
            if (!mark) marks = 0;
            at += used;
        }
        return ordered is null ? text : ordered.Append(text, copied, text.Length - copied).ToString();
    }

    static void Order(ReadOnlySpan<char> run, StringBuilder to)
    {
        var runes = new List<Rune>();
        foreach (var mark in run.EnumerateRunes())
            foreach (var rune in Decompose(mark.ToString()).EnumerateRunes()) runes.Add(rune);
        // .NET does not say a mark's class; but of two marks, NFD moves the one of the higher class behind. Class 0 moves for none.
        var marks = runes.Distinct().ToArray();
        var order = marks.ToDictionary(m => m, m => Moves(m, lowest) || Moves(highest, m) ? 1 + marks.Count(other => Moves(m, other)) : 0);
        for (int at = 0; at < runes.Count;)
        {
            int end = at;
            while (end < runes.Count && order[runes[end]] > 0) end++;
            foreach (var mark in runes[at..end].OrderBy(m => order[m])) to.Append(mark); // equals keep their order
            if (end < runes.Count) to.Append(runes[end++]);
            at = end;
        }
    }

    static bool Moves(Rune first, Rune behind) => first != behind && Decompose($"{first}{behind}") == $"{behind}{first}";

    static string Decompose(string text) => text.Normalize(NormalizationForm.FormD);
}
