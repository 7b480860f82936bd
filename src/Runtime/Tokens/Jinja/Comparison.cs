namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Python's equality and order, and a stable sort. Lists may hold themselves, or one list many times: depth and work are charged.</summary>
static class Comparison
{
    public static bool Same(Meter meter, object? a, object? b)
    {
        meter.Elements(1);
        switch (a, b)
        {
            case (Text x, Text y): return Strings.Same(meter, x.Value, y.Value);
            case (List<object?> x, List<object?> y):
                if (x.Count != y.Count || x is Tuple != y is Tuple) return false;
                if (ReferenceEquals(x, y)) return true;
                meter.Enter();
                bool same = true;
                for (int i = 0; same && i < x.Count; i++) same = Same(meter, x[i], y[i]);
                meter.Leave();
                return same;
            case (Dict x, Dict y):
                if (x.Count != y.Count) return false;
                if (ReferenceEquals(x, y)) return true;
                meter.Enter();
                same = true;
                foreach (var (key, value) in x)
                {
                    Values.Key(meter, key);
                    same = y.TryGetValue(key, out var other) && Same(meter, value, other);
                    if (!same) break;
                }
                meter.Leave();
                return same;
            case (long x, long y): return x == y;
            default: return Values.Number(a) is { } left && Values.Number(b) is { } right ? left == right : Equals(a, b);
        }
    }

    public static bool Holds(Meter meter, string op, object? left, object? right)
    {
        switch (op)
        {
            case "==": return Same(meter, left, right);
            case "!=": return !Same(meter, left, right);
            case "in": return Contains(meter, right, left);
            case "not in": return !Contains(meter, right, left);
        }
        if (Values.Number(left) is { } a && Values.Number(right) is { } b && !(left is long && right is long))
            return op switch { "<" => a < b, ">" => a > b, "<=" => a <= b, _ => a >= b }; // nothing holds of nan
        int order = Order(meter, left, right);
        return op switch { "<" => order < 0, ">" => order > 0, "<=" => order <= 0, _ => order >= 0 };
    }

    public static int Order(Meter meter, object? a, object? b)
    {
        meter.Elements(1);
        switch (a, b)
        {
            case (Text x, Text y): return Strings.Compare(meter, x.Value, y.Value);
            case (long x, long y): return x.CompareTo(y);
            case (List<object?> x, List<object?> y) when x is Tuple == y is Tuple:
                meter.Enter();
                int order = 0;
                for (int i = 0; order == 0 && i < Math.Min(x.Count, y.Count); i++)
                    if (!Same(meter, x[i], y[i])) order = Order(meter, x[i], y[i]);
                meter.Leave();
                return order != 0 ? order : x.Count.CompareTo(y.Count);
            default:
                return Values.Number(a) is { } left && Values.Number(b) is { } right ? left.CompareTo(right)
                    : throw meter.Wrong($"{Values.Name(a)} and {Values.Name(b)} have no order");
        }
    }

    /// <summary>The order of sort and dictsort, which Python lacks where a value may be none: none and undefined come first.</summary>
    static int OrderWithNone(Meter meter, object? a, object? b) => (a is null or Undefined, b is null or Undefined) switch
    {
        (true, true) => 0,
        (true, false) => -1,
        (false, true) => 1,
        _ => Order(meter, a, b),
    };

    static int Order(Meter meter, object?[] a, object?[] b)
    {
        int order = 0;
        for (int i = 0; order == 0 && i < a.Length; i++) order = OrderWithNone(meter, a[i], b[i]);
        return order;
    }

    /// <summary>Items by their keys, which may have several parts; equals stay in order, in reverse too.</summary>
    public static List<object?> Sort(Meter meter, List<object?> items, Func<object?, object?[]> key, bool reverse)
    {
        meter.List(2L * items.Count);
        meter.Bytes(64L * items.Count);
        var from = new (object?[] Key, object? Item)[items.Count];
        for (int i = 0; i < from.Length; i++) from[i] = (key(items[i]), items[i]);
        var to = new (object?[] Key, object? Item)[from.Length];
        int sign = reverse ? -1 : 1;
        for (int width = 1; width < from.Length; width *= 2)
        {
            meter.Elements(from.Length);
            for (int low = 0; low < from.Length; low += 2 * width)
            {
                int middle = Math.Min(low + width, from.Length), high = Math.Min(low + 2 * width, from.Length), a = low, b = middle;
                for (int i = low; i < high; i++)
                    to[i] = a < middle && (b >= high || sign * Order(meter, from[a].Key, from[b].Key) <= 0) ? from[a++] : from[b++];
            }
            (from, to) = (to, from);
        }
        return [.. from.Select(pair => pair.Item)];
    }

    public static bool Contains(Meter meter, object? where, object? what)
    {
        switch (where)
        {
            case Text text when what is Text part: return Strings.Find(meter, text.Value, part.Value, 0, text.Value.Length) >= 0;
            case Text: throw meter.Wrong($"'in' looks for a string in a string, found {Values.Name(what)}");
            case Dict dict: return what is not null and not Undefined && dict.ContainsKey(Values.Key(meter, what));
            default:
                foreach (object? item in where is List<object?> list ? list : Values.Items(meter, where))
                    if (Same(meter, item, what)) return true;
                return false;
        }
    }
}
