namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Attributes, items, slices, methods and arithmetic.</summary>
static class Operations
{
    /// <summary>of.name: a method comes before an item of that name, as in Python.</summary>
    public static object? Attribute(Meter meter, object? of, string name) => of switch
    {
        Undefined => throw meter.Wrong($"'{name}' is asked of an undefined value"),
        _ when HasMethod(of, name) => Method(meter, of, name),
        Dict dict => dict.GetValueOrDefault(name, Undefined.Value),
        Namespace space => space.Attributes.GetValueOrDefault(name, Undefined.Value),
        LoopState loop => loop.Attribute(meter, name),
        Group group when name is "grouper" or "list" => group[name == "list" ? 1 : 0],
        _ => Undefined.Value,
    };

    /// <summary>of[key]: an item comes before a method of that name.</summary>
    public static object? Item(Meter meter, object? of, object? key)
    {
        switch (of, key)
        {
            case (Undefined, _): throw meter.Wrong($"{(key is Text asked ? $"'{asked.Value}'" : "an item")} is asked of an undefined value");
            case (Dict dict, Text or long or double or bool):
                if (dict.TryGetValue(Values.Key(meter, key), out object? value)) return value;
                return key is Text method && DictMethods.Has(method.Value) ? Method(meter, of, method.Value) : Undefined.Value;
            case (List<object?> list, long or bool):
                long index = Values.Whole(key)!.Value;
                if (index < 0) index += list.Count;
                return index >= 0 && index < list.Count ? list[(int)index] : Undefined.Value;
            case (Text text, long or bool): return Strings.At(meter, text, Values.Whole(key)!.Value);
            case (_, Text name): return Attribute(meter, of, name.Value);
            default: return Undefined.Value;
        }
    }

    public static bool HasMethod(object? of, string name) => of switch
    {
        Text => StringMethods.Has(name),
        Dict => DictMethods.Has(name),
        List<object?> => DictMethods.ListHas(name),
        _ => false,
    };

    public static object? CallMethod(Meter meter, object? of, string name, Arguments arguments) => of switch
    {
        Text text => StringMethods.Call(meter, text, name, arguments),
        Dict dict => DictMethods.Call(meter, dict, name, arguments),
        _ => DictMethods.ListCall(meter, (List<object?>)of!, name, arguments),
    };

    static Function Method(Meter meter, object? of, string name)
    {
        meter.Bytes(160);
        return new Function(name, arguments => CallMethod(meter, of, name, arguments));
    }

    /// <summary>Python's slices, negative steps included.</summary>
    public static object? Slice(Meter meter, object? of, object? from, object? to, object? step)
    {
        int count = of switch
        {
            List<object?> list => list.Count,
            Text text => Strings.Length(meter, text.Value),
            _ => throw meter.Wrong($"{Values.Name(of)} cannot be sliced"),
        };
        long by = Math.Clamp(Bound(meter, step) ?? 1, -count - 1L, count + 1L); // longer steps leave at once too
        if (by == 0) throw meter.Wrong("a slice's step is 0");
        long lowest = by > 0 ? 0 : -1, highest = by > 0 ? count : count - 1;
        long Place(long? bound, long fallback) => bound is { } at ? Math.Clamp(at < 0 ? at + count : at, lowest, highest) : fallback;
        long begin = Place(Bound(meter, from), by > 0 ? 0 : count - 1), end = Place(Bound(meter, to), by > 0 ? count : -1);
        long taken = by > 0 ? (end > begin ? (end - begin - 1) / by + 1 : 0) : begin > end ? (begin - end - 1) / -by + 1 : 0;
        if (of is Text characters) return Strings.Slice(meter, characters, begin, by, taken);
        var items = (List<object?>)of;
        meter.List(taken);
        var part = items is Tuple ? new Tuple() : new List<object?>((int)taken);
        for (long i = 0; i < taken; i++) part.Add(items[(int)(begin + i * by)]);
        return part;
    }

    static long? Bound(Meter meter, object? value) =>
        value is null ? null : Values.Whole(value) ?? throw meter.Wrong($"a slice wants whole numbers, found {Values.Name(value)}");

    public static Tuple Tuple(List<object?> items)
    {
        var tuple = new Tuple();
        tuple.AddRange(items);
        return tuple;
    }

    public static object? Negate(Meter meter, object? value) => Values.Number(value) is null
        ? throw meter.Wrong($"'-' wants a number, found {Values.Name(value)}") : value is double d ? -d : Arithmetic(meter, "-", 0L, value);

    public static object? Arithmetic(Meter meter, string op, object? left, object? right)
    {
        switch (op, left, right)
        {
            case ("~", _, _): return StringParts.Concat(meter, Printing.Written(meter, left), Printing.Written(meter, right));
            case ("+", Text a, Text b): return StringParts.Concat(meter, a, b);
            case ("*", Text text, long or bool): return StringParts.Repeat(meter, text, Values.Whole(right)!.Value);
            case ("*", long or bool, Text text): return StringParts.Repeat(meter, text, Values.Whole(left)!.Value);
            case ("%", Text format, _): return Format.Percent(meter, format, right);
            case ("+", List<object?> a, List<object?> b) when a is Tuple == b is Tuple:
                meter.List((long)a.Count + b.Count);
                var joined = a is Tuple ? new Tuple() : new List<object?>(a.Count + b.Count);
                joined.AddRange(a);
                joined.AddRange(b);
                return joined;
            case ("*", List<object?> list, long or bool): return Repeat(meter, list, Values.Whole(right)!.Value);
            case ("*", long or bool, List<object?> list): return Repeat(meter, list, Values.Whole(left)!.Value);
        }
        if (left is Large || right is Large) throw meter.Wrong("a number goes past 64 bits");
        if (Values.Number(left) is not { } x || Values.Number(right) is not { } y)
            throw meter.Wrong($"'{op}' cannot join {Values.Name(left)} and {Values.Name(right)}");
        if (op is "/" or "//" or "%" && y == 0 || op == "**" && x == 0 && y < 0) throw meter.Wrong("division by zero");
        try
        {
            if (op != "/" && Values.Whole(left) is { } m && Values.Whole(right) is { } n && !(op == "**" && n < 0)) return Whole(op, m, n);
        }
        catch (OverflowException) { throw meter.Wrong("a number goes past 64 bits"); }
        return op switch
        {
            "+" => x + y,
            "-" => x - y,
            "*" => x * y,
            "/" => x / y,
            "//" => Math.Round((x - Modulo(x, y)) / y),
            "%" => Modulo(x, y),
            _ => Math.Pow(x, y) is var power && double.IsFinite(power) ? power : throw meter.Wrong("'**': the power is no number"),
        };
    }

    static double Modulo(double x, double y) => x % y is var rest && rest != 0 && rest < 0 != y < 0 ? rest + y : rest;

    static long Whole(string op, long x, long y)
    {
        checked
        {
            switch (op)
            {
                case "+": return x + y;
                case "-": return x - y;
                case "*": return x * y;
                case "//": return y == -1 ? -x : x / y - (x % y != 0 && x < 0 != y < 0 ? 1 : 0);
                case "%": return y == -1 ? 0 : x % y is var rest && rest != 0 && rest < 0 != y < 0 ? rest + y : rest;
                default:
                    long power = 1;
                    for (long factor = x; y > 0; y >>= 1)
                    {
                        if ((y & 1) != 0) power *= factor;
                        if (y > 1) factor *= factor;
                    }
                    return power;
            }
        }
    }

    static List<object?> Repeat(Meter meter, List<object?> list, long times)
    {
        long count = times <= 0 ? 0 : list.Count == 0 ? 0 : times > int.MaxValue ? int.MaxValue * (long)list.Count : times * list.Count;
        meter.List(count);
        var repeated = list is Tuple ? new Tuple() : new List<object?>((int)count);
        for (; count > 0; count -= list.Count) repeated.AddRange(list);
        return repeated;
    }
}
