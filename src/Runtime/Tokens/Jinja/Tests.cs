namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Tests (value is name), by name, with Jinja's parameters. What is not here is refused when a template is parsed.</summary>
static class Tests
{
    sealed record Entry(Signature Signature, Func<Call, bool> Body);

    static readonly Dictionary<string, Entry> all = Table();

    static Dictionary<string, Entry> Table()
    {
        Signature none = new(""), other = new("other");
        var table = new Dictionary<string, Entry>(StringComparer.Ordinal)
        {
            ["boolean"] = new(none, call => call.Of is bool),
            ["callable"] = new(none, call => call.Of is Function or Undefined),
            ["defined"] = new(none, call => call.Of is not Undefined),
            ["divisibleby"] = new(new("num"), call => Operations.Arithmetic(call.Meter, "%", call.Of, call.At(0)) is 0L or 0.0),
            ["even"] = new(none, call => Operations.Arithmetic(call.Meter, "%", call.Of, 2L) is 0L or 0.0),
            ["false"] = new(none, call => call.Of is false),
            ["filter"] = new(none, call => call.Of is Text text && Filters.Exists(text.Value)),
            ["float"] = new(none, call => call.Of is double),
            ["in"] = new(new("seq"), call => Comparison.Contains(call.Meter, call.At(0), call.Of)),
            ["integer"] = new(none, call => call.Of is long or Large),
            ["iterable"] = new(none, call => call.Of is Text or List<object?> or Dict or Generator or Undefined or LoopState),
            ["lower"] = new(none, call => Strings.HasCase(call.Meter, call.Written.Value, upper: false)),
            ["mapping"] = new(none, call => call.Of is Dict),
            ["none"] = new(none, call => call.Of is null),
            ["number"] = new(none, call => call.Of is long or double or Large or bool),
            ["odd"] = new(none, call => Operations.Arithmetic(call.Meter, "%", call.Of, 2L) is 1L or 1.0),
            ["sameas"] = new(other, call => Identical(call.Of, call.At(0))),
            ["sequence"] = new(none, call => call.Of is Text or List<object?> or Dict or Undefined),
            ["string"] = new(none, call => call.Of is Text),
            ["test"] = new(none, call => call.Of is Text text && Exists(text.Value)),
            ["true"] = new(none, call => call.Of is true),
            ["undefined"] = new(none, call => call.Of is Undefined),
            ["upper"] = new(none, call => Strings.HasCase(call.Meter, call.Written.Value, upper: true)),
        };
        foreach (var (names, op) in new[] { ("== eq equalto", "=="), ("!= ne", "!="), ("> gt greaterthan", ">"), (">= ge", ">="), ("< lt lessthan", "<"),
            ("<= le", "<=") })
            foreach (string name in names.Split(' ')) table[name] = new(other, call => Comparison.Holds(call.Meter, op, call.Of, call.At(0)));
        return table;
    }

    public static bool Exists(string name) => all.ContainsKey(name);

    /// <summary>Refuses what the language has not, when a template is parsed.</summary>
    public static void Check(string name, CallArguments arguments, int line)
    {
        if (!all.TryGetValue(name, out var test)) throw new TesseraException($"chat template, line {line}: {Unknown(name)}");
        if (arguments.Rest is null && arguments.Keywords is null)
            test.Signature.Check($"the test '{name}'", arguments.Positional.Count, [.. arguments.Named.Select(n => n.Name)], line);
    }

    public static bool Holds(Meter meter, string name, object? of, Arguments arguments) =>
        // select names tests at run time
        all.TryGetValue(name, out var test) ? test.Body(test.Signature.Bind(meter, $"the test '{name}'", of, arguments)) : throw meter.Wrong(Unknown(name));

    static string Unknown(string name) => $"the test '{name}' is not part of the template language that Tessera runs";

    static bool Identical(object? a, object? b) => (a, b) switch
    {
        (null or bool or long or double or Undefined, _) => Equals(a, b),
        (Text x, Text y) => x.Value == y.Value,
        _ => ReferenceEquals(a, b),
    };
}
