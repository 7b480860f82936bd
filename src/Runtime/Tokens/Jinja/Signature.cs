namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>
/// Names of parameters, in Python's order: "old new count?" where a question mark makes one optional, "*" takes more positional ones, "**" more named
/// ones.
/// </summary>
sealed class Signature
{
    readonly string[] names;
    readonly bool[] optional;
    readonly bool rest, keywords;

    public Signature(string parameters)
    {
        var words = parameters.Split(' ', StringSplitOptions.RemoveEmptyEntries).ToList();
        keywords = words.Remove("**");
        rest = words.Remove("*");
        optional = [.. words.Select(w => w.EndsWith('?'))];
        names = [.. words.Select(w => w.TrimEnd('?'))];
    }

    /// <summary>Refuses a call that binding would refuse, when a template is parsed.</summary>
    public void Check(string what, int positional, IReadOnlyCollection<string> named, int line)
    {
        if (Mismatch(positional, named) is { } mismatch) throw new TesseraException($"chat template, line {line}: {what} {mismatch}");
    }

    public Call Bind(Meter meter, string what, object? of, Arguments arguments)
    {
        meter.Elements(2 + arguments.Positional.Count + arguments.Named.Count);
        meter.Bytes(240 + 8 * names.Length);
        if (Mismatch(arguments.Positional.Count, [.. arguments.Named.Select(n => n.Name)]) is { } mismatch) throw meter.Wrong($"{what} {mismatch}");
        object?[] values = new object?[names.Length];
        for (int i = 0; i < names.Length; i++) values[i] = i < arguments.Positional.Count ? arguments.Positional[i] : Call.Absent;
        List<(string, object?)> more = [];
        foreach (var (name, value) in arguments.Named)
        {
            int at = Array.IndexOf(names, name);
            if (at >= 0) values[at] = value;
            else more.Add((name, value));
        }
        return new Call(meter, what, of, values, arguments.Positional.Count > names.Length ? arguments.Positional[names.Length..] : [], more);
    }

    string? Mismatch(int positional, IReadOnlyCollection<string> named)
    {
        if (positional > names.Length && !rest) return $"takes at most {names.Length} arguments, was given {positional}";
        foreach (string name in named)
        {
            int at = Array.IndexOf(names, name);
            if (at < 0 && !keywords) return $"has no argument '{name}'; it has {(names.Length == 0 ? "none" : string.Join(", ", names))}";
            if (at >= 0 && at < positional) return $"is given '{name}' twice";
        }
        if (named.Count > 1 && named.Distinct().Count() < named.Count) return "is given an argument twice";
        for (int i = positional; i < names.Length; i++)
            if (!optional[i] && !named.Contains(names[i])) return $"wants '{names[i]}'";
        return null;
    }
}

/// <summary>A call whose arguments are bound to a signature.</summary>
/// <param name="Of">What a filter, test or method is applied to.</param>
sealed record Call(Meter Meter, string What, object? Of, object?[] Values, List<object?> Rest, List<(string Name, object? Value)> Keywords)
{
    public static readonly object Absent = new();

    public bool Has(int i) => !ReferenceEquals(Values[i], Absent);

    public object? At(int i, object? fallback = null) => Has(i) ? Values[i] : fallback;

    public bool Truth(int i, bool fallback = false) => Has(i) ? Jinja.Values.Truth(Values[i]) : fallback;

    /// <summary>A whole number; none counts as not given.</summary>
    public long Whole(int i, long fallback) => At(i) is null or Undefined ? fallback
        : Jinja.Values.Whole(Values[i]) ?? throw Meter.Wrong($"{What} wants a whole number, found {Jinja.Values.Name(Values[i])}");

    /// <summary>A string, or null where none is given.</summary>
    public Text? Text(int i) => At(i) switch
    {
        null => null,
        Text text => text,
        var other => throw Meter.Wrong($"{What} wants a string, found {Jinja.Values.Name(other)}"),
    };

    public Text Required(int i) => Text(i) ?? throw Meter.Wrong($"{What} wants a string, found none");

    /// <summary>What the call is applied to, as a text.</summary>
    public Text Written => Printing.Written(Meter, Of);

    public List<object?> Items => Jinja.Values.Items(Meter, Of);

    public Arguments More => new(Rest, Keywords);
}
