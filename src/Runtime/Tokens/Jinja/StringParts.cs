namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Strings taken apart and put together: strip, split, replace, join.</summary>
static class StringParts
{
    /// <summary>Without the characters at the ends; null: white space.</summary>
    public static Text Strip(Meter meter, Text text, string? characters, bool start, bool end)
    {
        string value = text.Value;
        int from = 0, to = value.Length;
        while (start && from < to)
        {
            int length = char.IsHighSurrogate(value[from]) ? 2 : 1;
            if (!Dropped(meter, value.AsSpan(from, length), characters)) break;
            from += length;
        }
        while (end && to > from)
        {
            int last = char.IsLowSurrogate(value[to - 1]) ? to - 2 : to - 1;
            if (!Dropped(meter, value.AsSpan(last, to - last), characters)) break;
            to = last;
        }
        return Strings.Part(meter, text, from, to);
    }

    static bool Dropped(Meter meter, ReadOnlySpan<char> codePoint, string? characters)
    {
        meter.Characters(8 + (characters?.Length ?? 0) / 2);
        return characters is null ? Strings.IsSpace(codePoint[0]) : characters.AsSpan().IndexOf(codePoint) >= 0;
    }

    /// <summary>Parts between separators, at most so many cuts (below 0: all), from the left.</summary>
    public static List<object?> Split(Meter meter, Text text, string separator, long cuts)
    {
        if (separator.Length == 0) throw meter.Wrong("split: an empty separator");
        var parts = new List<object?>();
        int from = 0;
        for (int at; cuts-- != 0 && (at = Strings.Find(meter, text.Value, separator, from, text.Value.Length)) >= 0; from = at + separator.Length)
            Add(meter, parts, text, from, at);
        Add(meter, parts, text, from, text.Value.Length);
        return parts;
    }

    public static List<object?> SplitLast(Meter meter, Text text, string separator, long cuts)
    {
        if (cuts < 0) return Split(meter, text, separator, -1);
        // From the right: all places first, then the last of them that do not overlap.
        if (separator.Length == 0) throw meter.Wrong("split: an empty separator");
        var parts = new List<object?>();
        int to = text.Value.Length;
        for (int at = to - separator.Length; cuts > 0 && at >= 0; at--)
        {
            meter.Characters(4);
            if (text.Value[at] != separator[0]) continue;
            meter.Scanned(separator.Length);
            if (string.CompareOrdinal(text.Value, at, separator, 0, separator.Length) != 0) continue;
            Add(meter, parts, text, at + separator.Length, to);
            to = at;
            at -= separator.Length - 1;
            cuts--;
        }
        Add(meter, parts, text, 0, to);
        parts.Reverse();
        return parts;
    }

    /// <summary>Words between runs of white space.</summary>
    public static List<object?> Words(Meter meter, Text text, long cuts)
    {
        string value = text.Value;
        var parts = new List<object?>();
        int at = 0;
        while (true)
        {
            int from = SkipSpaces(meter, value, at);
            if (from == value.Length) return parts;
            int to = from;
            if (cuts-- == 0)
            {
                Add(meter, parts, text, from, value.Length); // what is not cut keeps its blanks
                return parts;
            }
            while (to < value.Length && !Strings.IsSpace(value[to])) to++;
            meter.Characters(to - from);
            Add(meter, parts, text, from, to);
            at = to;
        }
    }

    public static List<object?> WordsLast(Meter meter, Text text, long cuts)
    {
        var words = Words(meter, text, -1);
        if (cuts < 0 || words.Count <= cuts) return words;
        string value = text.Value;
        int to = value.Length;
        for (long i = 0; i <= cuts; i++)
        {
            while (to > 0 && Strings.IsSpace(value[to - 1])) to--;
            if (i == cuts) break;
            while (to > 0 && !Strings.IsSpace(value[to - 1])) to--;
        }
        meter.Characters(value.Length);
        var parts = new List<object?>();
        if (to > 0) Add(meter, parts, text, 0, to);
        parts.AddRange(words[^(int)cuts..]);
        return parts;
    }

    static int SkipSpaces(Meter meter, string value, int at)
    {
        int from = at;
        while (at < value.Length && Strings.IsSpace(value[at])) at++;
        meter.Characters(at - from);
        return at;
    }

    public static List<object?> Lines(Meter meter, Text text, bool keepEnds)
    {
        string value = text.Value;
        var lines = new List<object?>();
        int from = 0;
        meter.Characters(value.Length);
        for (int i = 0; i < value.Length; i++)
        {
            if (value[i] is not ('\n' or '\r' or '\v' or '\f' or '\x1c' or '\x1d' or '\x1e' or '\x85' or '\u2028' or '\u2029')) continue;
            int next = value[i] == '\r' && i + 1 < value.Length && value[i + 1] == '\n' ? i + 2 : i + 1;
            Add(meter, lines, text, from, keepEnds ? next : i);
            from = next;
            i = next - 1;
        }
        if (from < value.Length) Add(meter, lines, text, from, value.Length);
        return lines;
    }

    static void Add(Meter meter, List<object?> parts, Text text, int from, int to)
    {
        meter.List(1);
        parts.Add(Strings.Part(meter, text, from, to));
    }

    public static long Count(Meter meter, string text, string part, int from, int end)
    {
        if (part.Length == 0) return from > end ? 0 : Strings.CodePoint(meter, text, end) - Strings.CodePoint(meter, text, from) + 1;
        long count = 0;
        for (int at = from; (at = Strings.Find(meter, text, part, at, end)) >= 0; at += part.Length) count++;
        return count;
    }

    /// <summary>The first so many places of a part replaced; below 0: all. An empty part is before every character and at the end.</summary>
    public static Text Replace(Meter meter, Text text, string part, Text by, long count)
    {
        if (part.Length > 0 && Strings.Find(meter, text.Value, part, 0, text.Value.Length) < 0) return text;
        var replaced = new TextBuilder(meter);
        int from = 0;
        if (part.Length == 0)
        {
            for (int length; count-- != 0; from += length)
            {
                meter.Elements(2);
                replaced.Append(by);
                if (from == text.Value.Length) break;
                replaced.Append(text, from, length = char.IsHighSurrogate(text.Value[from]) ? 2 : 1);
            }
        }
        else
        {
            for (int at; count-- != 0 && (at = Strings.Find(meter, text.Value, part, from, text.Value.Length)) >= 0; from = at + part.Length)
            {
                meter.Elements(2);
                replaced.Append(text, from, at - from);
                replaced.Append(by);
            }
        }
        replaced.Append(text, from, text.Value.Length - from);
        return replaced.Build();
    }

    public static Text Join(Meter meter, List<object?> items, Text glue)
    {
        if (items is [Text only]) return only;
        var joined = new TextBuilder(meter);
        for (int i = 0; i < items.Count; i++)
        {
            meter.Elements(2);
            if (i > 0) joined.Append(glue);
            joined.Append(Printing.Written(meter, items[i]));
        }
        return joined.Build();
    }

    public static Text Repeat(Meter meter, Text text, long times)
    {
        if (times <= 0 || text.Value.Length == 0) return new Text("", "");
        meter.Text(text.Value.Length * (double)times > Text.MaxCharacters ? long.MaxValue / 8 : text.Value.Length * times);
        var repeated = new TextBuilder(meter);
        meter.Elements(2 * times);
        for (long i = 0; i < times; i++) repeated.Append(text);
        return repeated.Build();
    }

    public static Text Concat(Meter meter, Text a, Text b)
    {
        if (b.Value.Length == 0) return a;
        meter.Text((long)a.Value.Length + b.Value.Length);
        return new Text(a.Value + b.Value, a.Origin + b.Origin);
    }
}
