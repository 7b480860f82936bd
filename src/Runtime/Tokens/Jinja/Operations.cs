namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Operators, subscripts and slices.</summary>
static class Operations
{
    public static object? Member(object? of, string name, int line) => of switch
    {
        Dict dict => dict.TryGetValue(name, out var value) ? value : Undefined.Value,
        Undefined => throw new TesseraException($"chat template, line {line}: '{name}' is asked of an undefined value"),
        List<object?> list when int.TryParse(name, out int i) && i >= 0 => i < list.Count ? list[i] : Undefined.Value,
        _ => Undefined.Value,
    };

    public static object? Item(object? of, object? key, int line) => (of, key) switch
    {
        (Dict dict, Text text) => dict.TryGetValue(text.Value, out var value) ? value : Undefined.Value,
        (List<object?> list, long i) => Place(i, list.Count) is { } at ? list[at] : Undefined.Value,
        (Text text, long i) => Place(i, text.Value.Length) is { } at ? text.Slice(at, 1) : Undefined.Value,
        (Undefined, _) => throw new TesseraException($"chat template, line {line}: an item is asked of an undefined value"),
        _ => Undefined.Value,
    };

    static int? Place(long i, int count) => i < 0 ? (i + count >= 0 ? (int)(i + count) : null) : i < count ? (int)i : null;

    /// <summary>Python's slices, negative steps included.</summary>
    public static object? Slice(object? of, object? from, object? to, object? step, int line)
    {
        int count = of switch { List<object?> list => list.Count, Text text => text.Value.Length, _ => throw new TesseraException($"chat template, line {line}: {Values.Name(of)} cannot be sliced") };
        long by = Math.Clamp(Whole(step, 1, line), -count - 1L, count + 1L); // longer steps leave at once too
        if (by == 0) throw new TesseraException($"chat template, line {line}: a slice's step is 0");
        long lowest = by > 0 ? 0 : -1, highest = by > 0 ? count : count - 1;
        long Bound(object? bound, long fallback)
        {
            long value = Whole(bound, fallback, line);
            if (bound is not null && value < 0) value += count;
            return Math.Clamp(value, lowest, highest);
        }
        long begin = Bound(from, by > 0 ? 0 : count - 1), end = to is null ? (by > 0 ? count : -1) : Bound(to, 0);
        var places = new List<int>();
        for (long i = begin; by > 0 ? i < end : i > end; i += by) places.Add((int)i);
        return of is List<object?> items ? places.Select(i => items[i]).ToList() : Text.Concat([.. places.Select(i => ((Text)of!).Slice(i, 1))]);
    }

    static long Whole(object? value, long fallback, int line) => value switch
    {
        null => fallback,
        long n => n,
        _ => throw new TesseraException($"chat template, line {line}: a slice wants whole numbers, found {Values.Name(value)}"),
    };

    public static object? Binary(string op, object? left, object? right, int line) => op switch
    {
        "==" => Values.Same(left, right),
        "!=" => !Values.Same(left, right),
        "<" => Values.Compare(left, right, line) < 0,
        ">" => Values.Compare(left, right, line) > 0,
        "<=" => Values.Compare(left, right, line) <= 0,
        ">=" => Values.Compare(left, right, line) >= 0,
        "in" => Contains(right, left, line),
        "~" => Values.Written(left) + Values.Written(right),
        "+" when left is Text a && right is Text b => a + b,
        "+" when left is List<object?> a && right is List<object?> b => a.Concat(b).ToList(),
        _ => Arithmetic(op, left, right, line),
    };

    public static bool Contains(object? where, object? what, int line) => where switch
    {
        Text text when what is Text part => text.Value.Contains(part.Value, StringComparison.Ordinal),
        List<object?> list => list.Any(item => Values.Same(item, what)),
        Dict dict => what is Text key && dict.ContainsKey(key.Value),
        Undefined => false,
        _ => throw new TesseraException($"chat template, line {line}: 'in' cannot look into {Values.Name(where)}"),
    };

    public static object? Arithmetic(string op, object? left, object? right, int line)
    {
        if (Values.Number(left) is not { } a || Values.Number(right) is not { } b)
            throw new TesseraException($"chat template, line {line}: '{op}' cannot join {Values.Name(left)} and {Values.Name(right)}");
        if (op is "/" or "//" or "%" && b == 0) throw new TesseraException($"chat template, line {line}: division by zero");
        if (left is long x && right is long y && op != "/")
            return op switch
            {
                "+" => x + y,
                "-" => x - y,
                "*" => x * y,
                "//" => y == -1 ? -x : x / y - (x % y != 0 && (x < 0) != (y < 0) ? 1 : 0),
                _ => y == -1 ? 0 : ((x % y) + y) % y,
            };
        return op switch
        {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            "/" => a / b,
            "//" => Math.Floor(a / b),
            _ => a - b * Math.Floor(a / b),
        };
    }
}
