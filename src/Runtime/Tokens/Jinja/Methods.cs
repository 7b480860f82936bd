namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>The methods of Python's strings and dictionaries that templates call.</summary>
static class Methods
{
    public static object? Call(object? of, string name, List<object?> args, int line)
    {
        object? result = of switch
        {
            Text text => OfText(text, name, args, line),
            Dict dict => OfDict(dict, name, args),
            List<object?> list when name == "append" && args.Count == 1 => Append(list, args[0]),
            Undefined => throw new TesseraException($"chat template, line {line}: '{name}' is called on an undefined value"),
            _ => Missing.Value,
        };
        return result is Missing ? throw new TesseraException($"chat template, line {line}: {Values.Name(of)} has no method '{name}' that Tessera's template language has") : result;
    }

    sealed class Missing
    {
        public static readonly Missing Value = new();
    }

    static object? Append(List<object?> list, object? item)
    {
        list.Add(item);
        return null;
    }

    static object? OfText(Text text, string name, List<object?> args, int line)
    {
        string Argument(int i) => i < args.Count && args[i] is Text t ? t.Value : throw new TesseraException($"chat template, line {line}: {name} wants a string");
        char[]? Characters() => args.Count == 0 || args[0] is null ? null : Argument(0).ToCharArray();
        return name switch
        {
            "startswith" => text.Value.StartsWith(Argument(0), StringComparison.Ordinal),
            "endswith" => text.Value.EndsWith(Argument(0), StringComparison.Ordinal),
            "strip" => Strip(text, Characters(), true, true),
            "lstrip" => Strip(text, Characters(), true, false),
            "rstrip" => Strip(text, Characters(), false, true),
            "split" => Split(text, args, args.Count == 0 || args[0] is null ? null : Argument(0), line),
            "splitlines" => Split(text, [], "\n", line),
            "replace" => Replace(text, Argument(0), args.Count > 1 && args[1] is Text by ? by : throw new TesseraException($"chat template, line {line}: replace wants two strings"), line),
            "upper" => SameOrigin(text, text.Value.ToUpperInvariant()),
            "lower" => SameOrigin(text, text.Value.ToLowerInvariant()),
            "capitalize" => SameOrigin(text, text.Value.Length == 0 ? "" : char.ToUpperInvariant(text.Value[0]) + text.Value[1..].ToLowerInvariant()),
            "title" => SameOrigin(text, Title(text.Value)),
            "find" => (long)text.Value.IndexOf(Argument(0), StringComparison.Ordinal),
            "count" => (long)Split(text, [], Argument(0), line).Count - 1,
            "isdigit" => text.Value.Length > 0 && text.Value.All(char.IsDigit),
            "isalpha" => text.Value.Length > 0 && text.Value.All(char.IsLetter),
            "join" => Filters.Join(args.Count > 0 ? args[0] : null, text, line),
            _ => Missing.Value,
        };
    }

    static object? OfDict(Dict dict, string name, List<object?> args) => name switch
    {
        "items" => Pairs(dict),
        "keys" => dict.Keys.Select(k => (object?)Text.Message(k)).ToList(),
        "values" => dict.Values.ToList(),
        "get" => args.Count > 0 && args[0] is Text key && dict.TryGetValue(key.Value, out var value) ? value : args.Count > 1 ? args[1] : null,
        _ => Missing.Value,
    };

    public static List<object?> Pairs(Dict dict) => [.. dict.Select(p => (object?)new List<object?> { Text.Message(p.Key), p.Value })];

    public static Text Strip(Text text, char[]? characters, bool start, bool end)
    {
        bool Drop(char c) => characters is null ? char.IsWhiteSpace(c) : Array.IndexOf(characters, c) >= 0;
        int from = 0, to = text.Value.Length;
        while (start && from < to && Drop(text.Value[from])) from++;
        while (end && to > from && Drop(text.Value[to - 1])) to--;
        return text.Slice(from, to - from);
    }

    static List<object?> Split(Text text, List<object?> args, string? separator, int line)
    {
        if (separator == "") throw new TesseraException($"chat template, line {line}: split wants a separator that is not empty");
        long most = args.Count > 1 && args[1] is long n && n >= 0 ? n : long.MaxValue;
        var parts = new List<object?>();
        int from = 0;
        if (separator is null)
        {
            foreach (var range in text.Value.AsSpan().SplitAny([' ', '\t', '\n', '\r', '\f', '\v']))
                if (range.End.Value > range.Start.Value) parts.Add(text.Slice(range.Start.Value, range.End.Value - range.Start.Value));
            return parts;
        }
        for (int at; parts.Count < most && (at = text.Value.IndexOf(separator, from, StringComparison.Ordinal)) >= 0; from = at + separator.Length)
            parts.Add(text.Slice(from, at - from));
        parts.Add(text.Slice(from, text.Value.Length - from));
        return parts;
    }

    public static Text Replace(Text text, string old, Text by, int line)
    {
        var parts = new List<Text>();
        foreach (var part in Split(text, [], old, line))
        {
            if (parts.Count > 0) parts.Add(by);
            parts.Add((Text)part!);
        }
        return Text.Concat(parts);
    }

    /// <summary>A changed string: the template's only where all of it was.</summary>
    public static Text SameOrigin(Text from, string changed) =>
        Enumerable.Range(0, from.Value.Length).All(from.IsTemplate) ? Text.Template(changed) : Text.Message(changed);

    public static string Title(string text)
    {
        var chars = text.ToCharArray();
        for (int i = 0; i < chars.Length; i++)
            chars[i] = i > 0 && char.IsLetter(chars[i - 1]) ? char.ToLowerInvariant(chars[i]) : char.ToUpperInvariant(chars[i]);
        return new string(chars);
    }
}
