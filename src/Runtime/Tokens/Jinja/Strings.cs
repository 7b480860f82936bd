using System.Globalization;

namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>What strings are made of: code points, as Python counts them, though .NET counts UTF-16 units. All strings are whole (see Unicode).</summary>
static class Strings
{
    const int NaiveSearch = 8; // a longer part is searched for in time that is linear in the worst case

    public static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';

    static bool HasPairs(Meter meter, string text)
    {
        meter.Scanned(text.Length);
        return text.AsSpan().IndexOfAnyInRange('\ud800', '\udbff') >= 0;
    }

    public static int Length(Meter meter, string text)
    {
        if (!HasPairs(meter, text)) return text.Length;
        meter.Characters(text.Length);
        int low = 0;
        foreach (char c in text)
            if (char.IsLowSurrogate(c)) low++;
        return text.Length - low;
    }

    /// <summary>Where each code point starts, and the end; null where every unit is one.</summary>
    static int[]? Starts(Meter meter, string text)
    {
        if (!HasPairs(meter, text)) return null;
        meter.Characters(text.Length);
        meter.Bytes(4L * text.Length + 64);
        var starts = new int[text.Length + 1];
        int count = 0;
        for (int i = 0; i < text.Length; i++)
            if (!char.IsLowSurrogate(text[i])) starts[count++] = i;
        starts[count++] = text.Length;
        return starts[..count];
    }

    /// <summary>The UTF-16 unit at which a code point starts; the end for those past it.</summary>
    public static int Unit(Meter meter, string text, long codePoint)
    {
        if (codePoint >= text.Length) return text.Length;
        if (!HasPairs(meter, text)) return (int)codePoint;
        int at = 0;
        for (; codePoint > 0 && at < text.Length; codePoint--) at += char.IsHighSurrogate(text[at]) ? 2 : 1;
        meter.Characters(at);
        return at;
    }

    /// <summary>The code point that a UTF-16 unit belongs to, by number.</summary>
    public static long CodePoint(Meter meter, string text, int unit)
    {
        meter.Characters(unit);
        long count = unit;
        for (int i = 0; i < unit; i++)
            if (char.IsLowSurrogate(text[i])) count--;
        return count;
    }

    public static List<object?> CodePoints(Meter meter, Text text)
    {
        string value = text.Value;
        meter.List(value.Length);
        meter.Bytes(100L * value.Length);
        var items = new List<object?>(value.Length);
        for (int i = 0, length; i < value.Length; i += length)
            items.Add(text.Slice(i, length = char.IsHighSurrogate(value[i]) ? 2 : 1));
        return items;
    }

    public static object? At(Meter meter, Text text, long index)
    {
        int count = Length(meter, text.Value);
        if (index < 0) index += count;
        if (index < 0 || index >= count) return Undefined.Value;
        int at = Unit(meter, text.Value, index);
        meter.Text(2);
        return text.Slice(at, char.IsHighSurrogate(text.Value[at]) ? 2 : 1);
    }

    /// <summary>Every step-th code point from one on; count of them.</summary>
    public static Text Slice(Meter meter, Text text, long from, long step, long count)
    {
        if (step == 1)
        {
            int start = Unit(meter, text.Value, from), end = Unit(meter, text.Value, from + count);
            return Part(meter, text, start, end);
        }
        var starts = Starts(meter, text.Value);
        var part = new TextBuilder(meter);
        for (long i = 0; i < count; i++)
        {
            int at = (int)(from + i * step);
            meter.Elements(2);
            if (starts is null) part.Append(text, at, 1);
            else part.Append(text, starts[at], starts[at + 1] - starts[at]);
        }
        return part.Build();
    }

    /// <summary>Units from start to end, which lie between code points.</summary>
    public static Text Part(Meter meter, Text text, int start, int end)
    {
        if (start == 0 && end == text.Value.Length) return text;
        meter.Text(end - start);
        return text.Slice(start, end - start);
    }

    /// <summary>The unit at which a part is found from one on and before an end, or -1.</summary>
    public static int Find(Meter meter, string text, string part, int from, int end)
    {
        if (part.Length > end - from) return -1;
        if (part.Length <= NaiveSearch)
        {
            int found = text.AsSpan(from, end - from).IndexOf(part, StringComparison.Ordinal);
            meter.Characters(8 + ((found < 0 ? end - from : found) + part.Length) / (part.Length == 1 ? 8 : 2));
            return found < 0 ? -1 : from + found;
        }
        return FindLong(meter, text, part, from, end);
    }

    /// <summary>Knuth, Morris and Pratt: never looks back in the text.</summary>
    static int FindLong(Meter meter, string text, string part, int from, int end)
    {
        // The common case first: not even the beginning is there.
        int start = text.AsSpan(from, end - from).IndexOf(part.AsSpan(0, NaiveSearch), StringComparison.Ordinal);
        meter.Characters(8 + (start < 0 ? end - from : start) / 2);
        if (start < 0 || (start += from) + part.Length > end) return -1;
        meter.Scanned(part.Length);
        if (string.CompareOrdinal(text, start, part, 0, part.Length) == 0) return start;
        meter.Characters(2L * part.Length);
        meter.Bytes(4L * part.Length + 64);
        var back = new int[part.Length]; // how much of the beginning is again at an end of the part up to here
        for (int i = 1, k = 0; i < part.Length; i++)
        {
            while (k > 0 && part[i] != part[k]) k = back[k - 1];
            if (part[i] == part[k]) k++;
            back[i] = k;
        }
        for (int i = start, k = 0; i < end; i++)
        {
            if ((i & 0xfff) == 0) meter.Characters(0x1000);
            while (k > 0 && text[i] != part[k]) k = back[k - 1];
            if (text[i] == part[k]) k++;
            if (k == part.Length) return i + 1 - k;
        }
        return -1;
    }

    public static int FindLast(Meter meter, string text, string part, int from, int end)
    {
        if (part.Length == 0) return end;
        int last = -1;
        for (int at = from; (at = Find(meter, text, part, at, end)) >= 0; at++) last = at;
        return last;
    }

    public static bool Same(Meter meter, string a, string b)
    {
        if (a.Length != b.Length) return false;
        meter.Scanned(a.Length);
        return a == b;
    }

    /// <summary>Order by code points: units of pairs come behind all others.</summary>
    public static int Compare(Meter meter, string a, string b)
    {
        int common = a.AsSpan().CommonPrefixLength(b);
        meter.Scanned(common);
        if (common == a.Length || common == b.Length) return a.Length.CompareTo(b.Length);
        char x = a[common], y = b[common];
        return char.IsSurrogate(x) == char.IsSurrogate(y) ? x.CompareTo(y) : char.IsSurrogate(x) ? 1 : -1;
    }

    public static Text Upper(Meter meter, Text text) => Changed(meter, text, text.Value.Length, static s => s.ToUpperInvariant());

    public static Text Lower(Meter meter, Text text) => Changed(meter, text, text.Value.Length, static s => s.ToLowerInvariant());

    /// <summary>A form of a text that is as long.</summary>
    public static Text Changed(Meter meter, Text text, long characters, Func<string, string> change)
    {
        meter.Characters(4 * characters);
        meter.Text(2 * characters);
        return text.Changed(change(text.Value));
    }

    /// <summary>The first code point in upper case, the others in lower.</summary>
    public static string Capitalize(string text)
    {
        if (text.Length == 0) return text;
        int first = char.IsHighSurrogate(text[0]) ? 2 : 1;
        return text[..first].ToUpperInvariant() + text[first..].ToLowerInvariant();
    }

    /// <summary>str.title: a letter is large where none stands before it.</summary>
    public static string Title(string text)
    {
        var lower = text.ToLowerInvariant();
        var upper = text.ToUpperInvariant();
        if (lower.Length != text.Length || upper.Length != text.Length) return text;
        var chars = lower.ToCharArray();
        bool inWord = false;
        for (int i = 0; i < chars.Length; i += char.IsHighSurrogate(text[i]) ? 2 : 1)
        {
            bool letter = char.IsLetter(text, i);
            if (letter && !inWord) upper.CopyTo(i, chars, i, char.IsHighSurrogate(text[i]) ? 2 : 1);
            inWord = letter;
        }
        return new string(chars);
    }

    public static bool All(Meter meter, string text, Func<UnicodeCategory, bool> holds)
    {
        for (int i = 0; i < text.Length; i += char.IsHighSurrogate(text[i]) ? 2 : 1)
        {
            meter.Characters(2);
            if (!holds(CharUnicodeInfo.GetUnicodeCategory(text, i))) return false;
        }
        return text.Length > 0;
    }

    /// <summary>islower or isupper: has letters of that case and none of the other.</summary>
    public static bool HasCase(Meter meter, string text, bool upper)
    {
        bool any = false;
        for (int i = 0; i < text.Length; i += char.IsHighSurrogate(text[i]) ? 2 : 1)
        {
            meter.Characters(2);
            var category = CharUnicodeInfo.GetUnicodeCategory(text, i);
            if (category == UnicodeCategory.TitlecaseLetter || category == (upper ? UnicodeCategory.LowercaseLetter : UnicodeCategory.UppercaseLetter))
                return false;
            any |= category == (upper ? UnicodeCategory.UppercaseLetter : UnicodeCategory.LowercaseLetter);
        }
        return any;
    }
}
