namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Filters (value | name), by name, with Jinja's parameters. What is not here is refused when a template is parsed.</summary>
static class Filters
{
    sealed record Entry(Signature Signature, Func<Call, object?> Body);

    static readonly Dictionary<string, Entry> all = new(StringComparer.Ordinal)
    {
        ["abs"] = new(new(""), Absolute),
        ["attr"] = new(new("name"), call => Operations.Attribute(call.Meter, call.Of, call.Required(0).Value)),
        ["batch"] = new(new("linecount fill_with?"), ListFilters.Batch),
        ["capitalize"] = new(new(""), call => Strings.Changed(call.Meter, call.Written, call.Written.Value.Length, Strings.Capitalize)),
        ["center"] = new(new("width?"), call => StringMethods.Pad(call.Meter, call.Written, call.Whole(0, 80), null, left: true, right: true)),
        ["count"] = new(new(""), Length),
        ["d"] = new(new("default_value? boolean?"), Default),
        ["default"] = new(new("default_value? boolean?"), Default),
        ["dictsort"] = new(new("case_sensitive? by? reverse?"), ListFilters.DictSort),
        ["first"] = new(new(""), First),
        ["float"] = new(new("default?"), call =>
            call.Of is Text text ? Numbers.Parse(text.Value) ?? call.At(0, 0.0) : Values.Number(call.Of) ?? call.At(0, 0.0)),
        ["format"] = new(new("* **"), call => Format.Percent(call.Meter, call.Written, call.Keywords.Count > 0 ? Keywords(call) : Operations.Tuple(call.Rest))),
        ["groupby"] = new(new("attribute default? case_sensitive?"), ListFilters.GroupBy),
        ["indent"] = new(new("width? first? blank?"), Indent),
        ["int"] = new(new("default? base?"), Int),
        ["items"] = new(new(""), Items),
        ["join"] = new(new("d? attribute?"), ListFilters.Join),
        ["last"] = new(new(""), Last),
        ["length"] = new(new(""), Length),
        ["list"] = new(new(""), List),
        ["lower"] = new(new(""), call => Strings.Lower(call.Meter, call.Written)),
        ["map"] = new(new("* **"), ListFilters.Map),
        ["max"] = new(new("case_sensitive? attribute?"), call => ListFilters.Extreme(call, 1)),
        ["min"] = new(new("case_sensitive? attribute?"), call => ListFilters.Extreme(call, -1)),
        ["reject"] = new(new("* **"), call => ListFilters.Select(call, attribute: false, keep: false)),
        ["rejectattr"] = new(new("* **"), call => ListFilters.Select(call, attribute: true, keep: false)),
        ["replace"] = new(new("old new count?"), Replace),
        ["reverse"] = new(new(""), Reverse),
        ["round"] = new(new("precision? method?"), Round),
        ["safe"] = new(new(""), call => call.Of),
        ["select"] = new(new("* **"), call => ListFilters.Select(call, attribute: false, keep: true)),
        ["selectattr"] = new(new("* **"), call => ListFilters.Select(call, attribute: true, keep: true)),
        ["slice"] = new(new("slices fill_with?"), ListFilters.Slices),
        ["sort"] = new(new("reverse? case_sensitive? attribute?"), ListFilters.Sort),
        ["string"] = new(new(""), call => call.Written),
        ["sum"] = new(new("attribute? start?"), ListFilters.Sum),
        ["title"] = new(new(""), call => Strings.Changed(call.Meter, call.Written, 4 * call.Written.Value.Length, TitleWords)),
        ["tojson"] = new(new("ensure_ascii? indent? separators? sort_keys?"), ToJson),
        ["trim"] = new(new("chars?"), call => StringParts.Strip(call.Meter, call.Written, call.Text(0)?.Value, start: true, end: true)),
        ["truncate"] = new(new("length? killwords? end? leeway?"), Truncate),
        ["unique"] = new(new("case_sensitive? attribute?"), ListFilters.Unique),
        ["upper"] = new(new(""), call => Strings.Upper(call.Meter, call.Written)),
        ["wordcount"] = new(new(""), WordCount),
    };

    /// <summary>Refuses what the language has not, when a template is parsed.</summary>
    public static void Check(string name, CallArguments arguments, int line)
    {
        if (!all.TryGetValue(name, out var filter)) throw new TesseraException($"chat template, line {line}: {Unknown(name)}");
        if (arguments.Rest is null && arguments.Keywords is null)
            filter.Signature.Check($"the filter '{name}'", arguments.Positional.Count, [.. arguments.Named.Select(n => n.Name)], line);
    }

    /// <summary>A filter by its name, which map gives at run time.</summary>
    public static object? Apply(Meter meter, string name, object? of, Arguments arguments) =>
        all.TryGetValue(name, out var filter) ? filter.Body(filter.Signature.Bind(meter, $"the filter '{name}'", of, arguments))
            : throw meter.Wrong(Unknown(name));

    public static bool Exists(string name) => all.ContainsKey(name);

    static string Unknown(string name) => $"the filter '{name}' is not part of the template language that Tessera runs";

    static object? Absolute(Call call) => call.Of switch
    {
        long and long.MinValue => throw call.Meter.Wrong("abs: a number goes past 64 bits"),
        long n => (object)Math.Abs(n),
        _ => Math.Abs(Values.Number(call.Of) ?? throw call.Meter.Wrong($"abs wants a number, found {Values.Name(call.Of)}")),
    };

    static object? Default(Call call) => call.Of is Undefined || call.Truth(1) && !Values.Truth(call.Of) ? call.At(0, new Text("", "")) : call.Of;

    static object? Length(Call call) => call.Of switch
    {
        Text text => (long)Strings.Length(call.Meter, text.Value),
        List<object?> list => (long)list.Count,
        Dict dict => (long)dict.Count,
        Undefined => 0L,
        _ => throw call.Meter.Wrong($"{Values.Name(call.Of)} has no length"),
    };

    static object? First(Call call) => call.Of switch
    {
        Text text => Strings.At(call.Meter, text, 0),
        List<object?> list => list.Count > 0 ? list[0] : Undefined.Value,
        Generator generator => generator.Next(),
        _ => call.Items is [var first, ..] ? first : Undefined.Value,
    };

    static object? Last(Call call) => call.Of switch
    {
        Text text => Strings.At(call.Meter, text, -1),
        List<object?> list => list.Count > 0 ? list[^1] : Undefined.Value,
        _ => call.Items is [.., var last] ? last : Undefined.Value,
    };

    static object? List(Call call)
    {
        var items = call.Items;
        call.Meter.List(items.Count);
        return new List<object?>(items);
    }

    static object? Reverse(Call call)
    {
        if (call.Of is Text text)
        {
            int count = Strings.Length(call.Meter, text.Value);
            return Strings.Slice(call.Meter, text, count - 1, -1, count);
        }
        var items = call.Items;
        call.Meter.List(items.Count);
        return new Generator([.. Enumerable.Reverse(items)]);
    }

    static object? Items(Call call) => call.Of switch
    {
        Dict dict => new Generator(DictMethods.Pairs(call.Meter, dict)),
        Undefined => new Generator([]),
        _ => throw call.Meter.Wrong($"items: expected a mapping, found {Values.Name(call.Of)}"),
    };

    static object? Int(Call call)
    {
        if (call.Of is not Text text) return Values.Whole(call.Of) ?? (Values.Number(call.Of) is { } number ? Truncated(number) : call.At(0, 0L));
        call.Meter.Characters(text.Value.Length);
        return Numbers.Parse(text.Value, call.Whole(1, 10)) ?? (Numbers.Parse(text.Value) is { } real ? Truncated(real) : call.At(0, 0L));

        object? Truncated(double value) => double.IsFinite(value)
            ? Math.Abs(value) < 1L << 62 ? (long)value : throw call.Meter.Wrong("int: a number goes past 64 bits")
            : call.At(0, 0L);
    }

    static object? Round(Call call)
    {
        if (call.Of is not (long or bool or double)) throw call.Meter.Wrong($"round wants a number, found {Values.Name(call.Of)}");
        long precision = call.Whole(0, 0);
        string method = call.Text(1)?.Value ?? "common";
        if (precision is < 0 or > 15) throw call.Meter.Wrong("round wants a precision of 0 to 15");
        if (method is not ("common" or "ceil" or "floor")) throw call.Meter.Wrong($"round: expected the method common, ceil or floor, found '{method}'");
        call.Meter.Work(16_000);
        double number = Values.Number(call.Of)!.Value, power = Math.Pow(10, precision);
        return method switch
        {
            "common" when Values.Whole(call.Of) is { } whole => (object)whole,
            "common" => Numbers.Round(number, (int)precision),
            "ceil" => Math.Ceiling(number * power) / power,
            _ => Math.Floor(number * power) / power,
        };
    }

    static object? ToJson(Call call)
    {
        string? indent = call.At(1) switch
        {
            null => null,
            Text text => text.Value,
            _ => StringParts.Repeat(call.Meter, Text.Message(" "), call.Whole(1, 0)).Value,
        };
        var (comma, colon) = (indent is null ? ", " : ",", ": ");
        if (call.At(2) is { } separators)
        {
            if (separators is not List<object?> pair || pair is not [Text first, Text second]) throw call.Meter.Wrong("tojson: separators are two strings");
            (comma, colon) = (first.Value, second.Value);
        }
        return Printing.Json(call.Meter, call.Of, new Printing.Layout(indent, comma, colon, call.Truth(0), call.Truth(3)));
    }

    static object? Replace(Call call) =>
        StringParts.Replace(call.Meter, call.Written, Printing.Written(call.Meter, call.At(0)).Value, Printing.Written(call.Meter, call.At(1)),
            call.Whole(2, -1));

    static object? Indent(Call call)
    {
        var indention = call.At(0) is Text given ? given : StringParts.Repeat(call.Meter, Text.Template(" "), call.Whole(0, 4));
        var lines = StringParts.Lines(call.Meter, StringParts.Concat(call.Meter, call.Written, Text.Template("\n")), keepEnds: false);
        var indented = new TextBuilder(call.Meter);
        if (call.Truth(1)) indented.Append(indention);
        for (int i = 0; i < lines.Count; i++)
        {
            var line = (Text)lines[i]!;
            if (i > 0) indented.Append(Text.Template("\n"));
            if (i > 0 && (call.Truth(2) || line.Value.Length > 0)) indented.Append(indention);
            indented.Append(line);
        }
        return indented.Build();
    }

    static object? Truncate(Call call)
    {
        var (meter, text, end) = (call.Meter, call.Written, call.Text(2) ?? Text.Template("..."));
        long length = call.Whole(0, 255), leeway = call.Whole(3, 5);
        int ending = Strings.Length(meter, end.Value);
        if (length < ending || leeway < 0) throw meter.Wrong($"truncate: a length below {ending} or a leeway below 0: {length}, {leeway}");
        if (Strings.Length(meter, text.Value) <= length + Math.Min(leeway, Text.MaxCharacters)) return text;
        var cut = Strings.Part(meter, text, 0, Strings.Unit(meter, text.Value, length - ending));
        if (!call.Truth(1) && cut.Value.LastIndexOf(' ') is >= 0 and var space) cut = Strings.Part(meter, cut, 0, space);
        return StringParts.Concat(meter, cut, end);
    }

    static object? WordCount(Call call)
    {
        string text = call.Written.Value;
        call.Meter.Characters(2L * text.Length);
        long words = 0;
        bool inside = false;
        for (int i = 0; i < text.Length; i += char.IsHighSurrogate(text[i]) ? 2 : 1)
        {
            bool letter = text[i] == '_' || char.IsLetterOrDigit(text, i) || char.IsNumber(text, i);
            if (letter && !inside) words++;
            inside = letter;
        }
        return words;
    }

    /// <summary>The title filter, which unlike str.title starts a word behind blanks and -([{&lt; only.</summary>
    static string TitleWords(string text)
    {
        var words = new System.Text.StringBuilder(text.Length);
        for (int from = 0; from < text.Length;)
        {
            int to = from;
            while (to < text.Length && !Begins(text[to])) to++;
            words.Append(Strings.Capitalize(text[from..to]));
            for (from = to; from < text.Length && Begins(text[from]); from++) words.Append(text[from]);
        }
        return words.ToString();

        static bool Begins(char c) => Strings.IsSpace(c) || c is '-' or '(' or '{' or '[' or '<';
    }

    static Dict Keywords(Call call)
    {
        call.Meter.Entries(call.Keywords.Count);
        var dict = new Dict();
        foreach (var (name, value) in call.Keywords) dict[Text.Template(name)] = value;
        return dict;
    }
}
