using System.Globalization;

namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>The methods of Python's strings that templates call, with Python's parameters.</summary>
static class StringMethods
{
    sealed record Entry(Signature Signature, Func<Call, object?> Body);

    static readonly Signature affix = new("prefix start? end?"), search = new("sub start? end?"), split = new("sep? maxsplit?"),
        padded = new("width fillchar?"), chars = new("chars?"), none = new("");

    static readonly Dictionary<string, Entry> all = new(StringComparer.Ordinal)
    {
        ["capitalize"] = new(none, call => Strings.Changed(call.Meter, Of(call), Of(call).Value.Length, Strings.Capitalize)),
        ["casefold"] = new(none, call => Strings.Lower(call.Meter, Of(call))),
        ["center"] = new(padded, call => Pad(call.Meter, Of(call), call.Whole(0, 0), call.Text(1), left: true, right: true)),
        ["count"] = new(search, Count),
        ["endswith"] = new(affix, call => Affixed(call, atEnd: true)),
        ["find"] = new(search, call => Find(call, last: false)),
        ["index"] = new(search, call => Find(call, last: false) is >= 0 and var at ? at : throw call.Meter.Wrong("index: the part is not there")),
        ["isalnum"] = new(none, call => Strings.All(call.Meter, Of(call).Value, c => Letter(c) || Digit(c))),
        ["isalpha"] = new(none, call => Strings.All(call.Meter, Of(call).Value, Letter)),
        ["isascii"] = new(none, call => IsAscii(call)),
        ["isdecimal"] = new(none, call => Strings.All(call.Meter, Of(call).Value, c => c == UnicodeCategory.DecimalDigitNumber)),
        ["isdigit"] = new(none, call => Strings.All(call.Meter, Of(call).Value, c => c == UnicodeCategory.DecimalDigitNumber)),
        ["islower"] = new(none, call => Strings.HasCase(call.Meter, Of(call).Value, upper: false)),
        ["isnumeric"] = new(none, call => Strings.All(call.Meter, Of(call).Value, Digit)),
        ["isspace"] = new(none, IsSpace),
        ["isupper"] = new(none, call => Strings.HasCase(call.Meter, Of(call).Value, upper: true)),
        ["join"] = new(new("iterable"), call => StringParts.Join(call.Meter, Strict(call, Values.Items(call.Meter, call.At(0))), Of(call))),
        ["ljust"] = new(padded, call => Pad(call.Meter, Of(call), call.Whole(0, 0), call.Text(1), left: false, right: true)),
        ["lower"] = new(none, call => Strings.Lower(call.Meter, Of(call))),
        ["lstrip"] = new(chars, call => StringParts.Strip(call.Meter, Of(call), call.Text(0)?.Value, start: true, end: false)),
        ["partition"] = new(new("sep"), call => Partition(call, last: false)),
        ["removeprefix"] = new(new("prefix"), call => Affixed(call, atEnd: false)
            ? Strings.Part(call.Meter, Of(call), call.Required(0).Value.Length, Of(call).Value.Length) : Of(call)),
        ["removesuffix"] = new(new("suffix"), call => Affixed(call, atEnd: true)
            ? Strings.Part(call.Meter, Of(call), 0, Of(call).Value.Length - call.Required(0).Value.Length) : Of(call)),
        ["replace"] = new(new("old new count?"), call =>
            StringParts.Replace(call.Meter, Of(call), call.Required(0).Value, call.Required(1), call.Whole(2, -1))),
        ["rfind"] = new(search, call => Find(call, last: true)),
        ["rindex"] = new(search, call => Find(call, last: true) is >= 0 and var at ? at : throw call.Meter.Wrong("rindex: the part is not there")),
        ["rjust"] = new(padded, call => Pad(call.Meter, Of(call), call.Whole(0, 0), call.Text(1), left: true, right: false)),
        ["rpartition"] = new(new("sep"), call => Partition(call, last: true)),
        ["rsplit"] = new(split, call => call.Text(0) is { } by ? StringParts.SplitLast(call.Meter, Of(call), by.Value, call.Whole(1, -1))
            : StringParts.WordsLast(call.Meter, Of(call), call.Whole(1, -1))),
        ["rstrip"] = new(chars, call => StringParts.Strip(call.Meter, Of(call), call.Text(0)?.Value, start: false, end: true)),
        ["split"] = new(split, call => call.Text(0) is { } by ? StringParts.Split(call.Meter, Of(call), by.Value, call.Whole(1, -1))
            : StringParts.Words(call.Meter, Of(call), call.Whole(1, -1))),
        ["splitlines"] = new(new("keepends?"), call => StringParts.Lines(call.Meter, Of(call), call.Truth(0))),
        ["startswith"] = new(affix, call => Affixed(call, atEnd: false)),
        ["strip"] = new(chars, call => StringParts.Strip(call.Meter, Of(call), call.Text(0)?.Value, start: true, end: true)),
        ["swapcase"] = new(none, call => Strings.Changed(call.Meter, Of(call), Of(call).Value.Length, SwapCase)),
        ["title"] = new(none, call => Strings.Changed(call.Meter, Of(call), 2 * Of(call).Value.Length, Strings.Title)),
        ["upper"] = new(none, call => Strings.Upper(call.Meter, Of(call))),
        ["zfill"] = new(new("width"), call => ZeroFill(call.Meter, Of(call), call.Whole(0, 0))),
    };

    public static bool Has(string name) => all.ContainsKey(name);

    public static object? Call(Meter meter, Text of, string name, Arguments arguments) => all[name].Body(all[name].Signature.Bind(meter, name, of, arguments));

    static Text Of(Call call) => (Text)call.Of!;

    static bool Letter(UnicodeCategory category) => category <= UnicodeCategory.OtherLetter;

    static bool Digit(UnicodeCategory category) =>
        category is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;

    static bool IsAscii(Call call)
    {
        call.Meter.Scanned(Of(call).Value.Length);
        return System.Text.Ascii.IsValid(Of(call).Value);
    }

    static object? IsSpace(Call call)
    {
        call.Meter.Characters(Of(call).Value.Length);
        return Of(call).Value.Length > 0 && Of(call).Value.All(Strings.IsSpace);
    }

    static string SwapCase(string text)
    {
        string upper = text.ToUpperInvariant(), lower = text.ToLowerInvariant();
        return string.Create(text.Length, (text, upper, lower), static (to, from) =>
        {
            for (int i = 0; i < to.Length; i++) to[i] = from.text[i] == from.upper[i] ? from.lower[i] : from.upper[i];
        });
    }

    static List<object?> Strict(Call call, List<object?> items)
    {
        foreach (object? item in items)
            if (item is not Text) throw call.Meter.Wrong($"join wants strings, found {Values.Name(item)}");
        return items;
    }

    /// <summary>Units between the optional second and third argument, which count code points as a slice does.</summary>
    static (int From, int To) Range(Call call)
    {
        string text = Of(call).Value;
        if (!call.Has(1) && !call.Has(2)) return (0, text.Length);
        int count = Strings.Length(call.Meter, text);
        long Place(long at) => Math.Max(0, at < 0 ? at + count : at);
        long from = Place(call.Whole(1, 0)), to = Math.Min(count, Place(call.Whole(2, count)));
        return from > count ? (int.MaxValue, 0) : (Strings.Unit(call.Meter, text, from), Strings.Unit(call.Meter, text, to));
    }

    static long Find(Call call, bool last)
    {
        var (from, to) = Range(call);
        if (from > to) return -1;
        string text = Of(call).Value, part = call.Required(0).Value;
        int at = last ? Strings.FindLast(call.Meter, text, part, from, to) : Strings.Find(call.Meter, text, part, from, to);
        return at < 0 ? -1 : Strings.CodePoint(call.Meter, text, at);
    }

    static object? Count(Call call)
    {
        var (from, to) = Range(call);
        return from > to ? 0L : StringParts.Count(call.Meter, Of(call).Value, call.Required(0).Value, from, to);
    }

    static bool Affixed(Call call, bool atEnd)
    {
        var (from, to) = call.Values.Length > 1 ? Range(call) : (0, Of(call).Value.Length);
        if (call.At(0) is Tuple several) return several.Any(affix => Is(affix));
        return Is(call.At(0));

        bool Is(object? affix)
        {
            string part = affix is Text text ? text.Value : throw call.Meter.Wrong($"{call.What} wants a string, found {Values.Name(affix)}");
            call.Meter.Scanned(part.Length);
            if (from > to || part.Length > to - from) return false;
            return string.CompareOrdinal(Of(call).Value, atEnd ? to - part.Length : from, part, 0, part.Length) == 0;
        }
    }

    static Tuple Partition(Call call, bool last)
    {
        var (meter, text, separator) = (call.Meter, Of(call), call.Required(0));
        if (separator.Value.Length == 0) throw meter.Wrong("partition: an empty separator");
        int at = last ? Strings.FindLast(meter, text.Value, separator.Value, 0, text.Value.Length)
            : Strings.Find(meter, text.Value, separator.Value, 0, text.Value.Length);
        var empty = new Text("", "");
        if (at < 0) return last ? [empty, empty, text] : [text, empty, empty];
        return [Strings.Part(meter, text, 0, at), separator, Strings.Part(meter, text, at + separator.Value.Length, text.Value.Length)];
    }

    /// <summary>A text filled up to a width on one side or both.</summary>
    public static Text Pad(Meter meter, Text text, long width, Text? fill, bool left, bool right)
    {
        var one = fill ?? Text.Template(" ");
        if (Strings.Length(meter, one.Value) != 1) throw meter.Wrong("a fill character is one character");
        long missing = width - Strings.Length(meter, text.Value);
        if (missing <= 0) return text;
        long before = left && right ? missing / 2 + (missing & width & 1) : left ? missing : 0;
        var padded = new TextBuilder(meter);
        padded.Append(StringParts.Repeat(meter, one, before));
        padded.Append(text);
        padded.Append(StringParts.Repeat(meter, one, missing - before));
        return padded.Build();
    }

    public static Text ZeroFill(Meter meter, Text text, long width)
    {
        long missing = width - Strings.Length(meter, text.Value);
        if (missing <= 0) return text;
        int sign = text.Value.Length > 0 && text.Value[0] is '-' or '+' ? 1 : 0;
        var filled = new TextBuilder(meter);
        filled.Append(text, 0, sign);
        filled.Append(StringParts.Repeat(meter, Text.Template("0"), missing));
        filled.Append(text, sign, text.Value.Length - sign);
        return filled.Build();
    }
}
