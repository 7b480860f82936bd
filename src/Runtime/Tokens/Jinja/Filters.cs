using System.Globalization;

namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Filters (value | name) and tests (value is name).</summary>
static class Filters
{
    static readonly HashSet<string> filters = ["tojson", "default", "d", "length", "count", "string", "safe", "int", "float", "abs", "items", "join", "trim", "upper", "lower", "capitalize", "title", "replace", "indent",
        "first", "last", "list", "reverse", "sort", "unique", "map", "select", "reject", "selectattr", "rejectattr"];

    static readonly HashSet<string> tests = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "true", "false", "mapping", "sequence", "iterable", "callable", "even", "odd",
        "equalto", "eq", "ne", "in", "lower", "upper"];

    /// <summary>Refuses what the language has not, when a template is parsed.</summary>
    public static void Know(bool filter, string name, int line)
    {
        if (!(filter ? filters : tests).Contains(name)) throw Unknown(filter, name, line);
    }

    static TesseraException Unknown(bool filter, string name, int line) => Wrong(line, $"the {(filter ? "filter" : "test")} '{name}' is not part of the template language that Tessera runs");

    public static object? Apply(string name, object? of, List<object?> args, Dict named, int line)
    {
        Know(filter: true, name, line); // map names filters at run time
        object? Argument(int i, string key, object? fallback) => i < args.Count ? args[i] : named.TryGetValue(key, out var value) ? value : fallback;
        switch (name)
        {
            case "tojson": return Text.Message(Values.Json(of, Argument(0, "indent", null) is long indent ? (int)Math.Clamp(indent, 0, 16) : 0));
            case "default" or "d": return of is Undefined || Values.Truth(Argument(1, "boolean", false)) && !Values.Truth(of) ? Argument(0, "default_value", Text.Template("")) : of;
            case "length" or "count":
                return of switch
                {
                    Text text => (long)text.Value.Length,
                    List<object?> list => (long)list.Count,
                    Dict dict => (long)dict.Count,
                    Undefined => 0L,
                    _ => throw Wrong(line, $"{Values.Name(of)} has no length"),
                };
            case "string": return Values.Written(of);
            case "safe": return of;
            case "int": return Values.Number(of) is { } n ? (long)n : of is Text t && long.TryParse(t.Value.Trim(), CultureInfo.InvariantCulture, out long parsed) ? parsed : Argument(0, "default", 0L);
            case "float": return Values.Number(of) ?? (of is Text f && double.TryParse(f.Value.Trim(), CultureInfo.InvariantCulture, out double real) ? real : 0.0);
            case "abs": return of is long and > long.MinValue and var whole ? Math.Abs(whole) : Math.Abs(Values.Number(of) ?? throw Wrong(line, "abs wants a number"));
            case "items": return of is Dict pairs ? Methods.Pairs(pairs) : throw Wrong(line, $"{Values.Name(of)} has no items");
            case "join": return Join(of, Argument(0, "d", Text.Template("")) is Text glue ? glue : Text.Template(""), line);
            case "trim" or "upper" or "lower" or "capitalize" or "title": return Methods.Call(Values.Written(of), name == "trim" ? "strip" : name, args, line);
            case "replace": return Methods.Call(Values.Written(of), "replace", args, line);
            case "indent": return Indent(Values.Written(of), Argument(0, "width", 4L), Values.Truth(Argument(1, "first", false)));
            default: return OfList(name, Values.Items(of, line), args, named, line);
        }
    }

    static object? OfList(string name, List<object?> list, List<object?> args, Dict named, int line)
    {
        switch (name)
        {
            case "first": return list.Count > 0 ? list[0] : Undefined.Value;
            case "last": return list.Count > 0 ? list[^1] : Undefined.Value;
            case "list": return list;
            case "reverse": return Enumerable.Reverse(list).ToList();
            case "sort": return list.Order(Comparer<object?>.Create((a, b) => Values.Compare(a, b, line))).ToList();
            case "unique":
                var seen = new List<object?>();
                foreach (var item in list)
                    if (!seen.Any(s => Values.Same(s, item))) seen.Add(item);
                return seen;
            case "map":
                return named.TryGetValue("attribute", out var attribute) ? list.Select(item => Operations.Member(item, Name(attribute, line), line)).ToList()
                    : list.Select(item => Apply(Name(args.FirstOrDefault(), line), item, [.. args.Skip(1)], [], line)).ToList();
        }
        bool byAttribute = name.EndsWith("attr", StringComparison.Ordinal), keep = name.StartsWith("select", StringComparison.Ordinal);
        int skipped = byAttribute ? 1 : 0;
        return list.Where(item =>
        {
            object? value = byAttribute ? Operations.Member(item, Name(args.FirstOrDefault(), line), line) : item;
            bool holds = args.Count > skipped ? Test(Name(args[skipped], line), value, [.. args.Skip(skipped + 1)], line) : Values.Truth(value);
            return holds == keep;
        }).ToList();
    }

    public static bool Test(string name, object? of, List<object?> args, int line) => name switch
    {
        "defined" => of is not Undefined,
        "undefined" => of is Undefined,
        "none" => of is null,
        "string" => of is Text,
        "number" => of is long or double or Real,
        "integer" => of is long,
        "float" => of is double or Real,
        "boolean" => of is bool,
        "true" => of is true,
        "false" => of is false,
        "mapping" => of is Dict,
        "sequence" or "iterable" => of is Text or List<object?> or Dict,
        "callable" => of is Function,
        "even" => of is long n && n % 2 == 0,
        "odd" => of is long n && n % 2 != 0,
        "equalto" or "eq" => Values.Same(of, args.FirstOrDefault()),
        "ne" => !Values.Same(of, args.FirstOrDefault()),
        "in" => Operations.Contains(args.FirstOrDefault(), of, line),
        "lower" => of is Text t && t.Value == t.Value.ToLowerInvariant(),
        "upper" => of is Text t && t.Value == t.Value.ToUpperInvariant(),
        _ => throw Unknown(false, name, line),
    };

    public static Text Join(object? of, Text glue, int line)
    {
        var parts = new List<Text>();
        foreach (var item in Values.Items(of, line))
        {
            if (parts.Count > 0) parts.Add(glue);
            parts.Add(Values.Written(item));
        }
        return Text.Concat(parts);
    }

    static Text Indent(Text text, object? width, bool first)
    {
        var blanks = width is Text given ? given : Text.Template(new string(' ', width is long n ? (int)Math.Clamp(n, 0, 64) : 4));
        var lines = Methods.Replace(text, "\n", Text.Template("\n") + blanks, 0);
        return first ? blanks + lines : lines;
    }

    static string Name(object? value, int line) => value is Text text ? text.Value : throw Wrong(line, $"expected a name, found {Values.Name(value)}");

    static TesseraException Wrong(int line, string what) => new($"chat template, line {line}: {what}");
}
