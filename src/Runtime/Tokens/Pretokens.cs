using System.Globalization;
using System.Text;

namespace Tessera.Runtime.Tokens;

/// <summary>
/// Splits text as Qwen's expression does, by hand, since .NET's Regex sees UTF-16 units and takes letters beyond the basic plane for none:
/// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
/// </summary>
ref struct Pretokens(ReadOnlySpan<char> text)
{
    enum Kind { End, Letter, Number, Space, Other }

    readonly ReadOnlySpan<char> text = text;
    int at;

    /// <summary>Offset and length, in UTF-16 units.</summary>
    public (int Start, int Length) Current { get; private set; }

    public readonly Pretokens GetEnumerator() => this;

    public bool MoveNext()
    {
        if (at >= text.Length) return false;
        int end = End(at);
        Current = (at, end - at);
        at = end;
        return true;
    }

    readonly int End(int start)
    {
        int contraction = Contraction(start);
        if (contraction > 0) return start + contraction;
        var (first, after) = Look(start);
        var (second, _) = Look(after);
        if (first == Kind.Letter) return Run(start, Kind.Letter);
        if (first != Kind.Number && second == Kind.Letter && text[start] is not ('\r' or '\n')) return Run(after, Kind.Letter);
        if (first == Kind.Number) return after;
        if (first == Kind.Other || text[start] == ' ' && second == Kind.Other)
        {
            int end = Run(first == Kind.Other ? start : after, Kind.Other);
            while (end < text.Length && text[end] is '\r' or '\n') end++;
            return end;
        }
        int spaces = Run(start, Kind.Space);
        int newline = text[start..spaces].LastIndexOfAny('\r', '\n');
        if (newline >= 0) return start + newline + 1;
        // All but the last, which belongs to what follows; all spaces are one UTF-16 unit long.
        return spaces == text.Length || spaces - start == 1 ? spaces : spaces - 1;
    }

    readonly int Contraction(int start)
    {
        if (text[start] != '\'' || start + 1 >= text.Length) return 0;
        char a = Fold(text[start + 1]), b = start + 2 < text.Length ? Fold(text[start + 2]) : '\0';
        if (a is 's' or 't' or 'm' or 'd') return 2;
        return (a, b) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? 3 : 0;
    }

    /// <summary>Lower case of ASCII, and of the long s, which Unicode folds to s.</summary>
    static char Fold(char c) => c is >= 'A' and <= 'Z' ? (char)(c | 0x20) : c == '\u017f' ? 's' : c;

    readonly int Run(int from, Kind kind)
    {
        while (true)
        {
            var (found, after) = Look(from);
            if (found != kind) return from;
            from = after;
        }
    }

    readonly (Kind, int After) Look(int i)
    {
        if (i >= text.Length) return (Kind.End, i);
        Rune.DecodeFromUtf16(text[i..], out var rune, out int used);
        if (Rune.IsWhiteSpace(rune)) return (Kind.Space, i + used);
        return (Rune.GetUnicodeCategory(rune) switch
        {
            <= UnicodeCategory.OtherLetter => Kind.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Number,
            _ => Kind.Other,
        }, i + used);
    }
}
