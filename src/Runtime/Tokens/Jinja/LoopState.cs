namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>What a loop's body knows as loop.</summary>
sealed class LoopState(List<object?> items, int depth, Func<object?, Text>? recurse)
{
    static readonly Signature any = new("*");

    List<object?>? last;

    public int At { get; set; }

    /// <summary>loop(items) in a recursive loop: the same body over other items; null elsewhere.</summary>
    public Func<object?, Text>? Recurse => recurse;

    public object? Attribute(Meter meter, string name)
    {
        switch (name)
        {
            case "index": return At + 1L;
            case "index0": return (long)At;
            case "first": return At == 0;
            case "last": return At == items.Count - 1;
            case "length": return (long)items.Count;
            case "revindex": return (long)(items.Count - At);
            case "revindex0": return items.Count - At - 1L;
            case "depth": return depth + 1L;
            case "depth0": return (long)depth;
            case "previtem": return At > 0 ? items[At - 1] : Undefined.Value;
            case "nextitem": return At + 1 < items.Count ? items[At + 1] : Undefined.Value;
            case "cycle":
                return new Function(name, arguments => any.Bind(meter, name, null, arguments).Rest is { Count: > 0 } values ? values[At % values.Count]
                    : throw meter.Wrong("cycle wants values"));
            case "changed":
                return new Function(name, arguments =>
                {
                    var values = any.Bind(meter, name, null, arguments).Rest;
                    bool changed = last is null || !Comparison.Same(meter, last, values);
                    last = values;
                    return changed;
                });
            default: return Undefined.Value;
        }
    }
}
