using System.Globalization;

namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>A name that is not there: false, empty, and an error only where it is used as something.</summary>
sealed class Undefined
{
    public static readonly Undefined Value = new();
}

/// <summary>A whole number of JSON that is beyond 64 bits, in its own spelling.</summary>
readonly record struct Large(double Value, string Spelling);

/// <summary>Python's tuple: a list that is written with parentheses and equals no list.</summary>
class Tuple : List<object?>;

/// <summary>What groupby gives: a tuple whose parts have names too.</summary>
sealed class Group : Tuple;

/// <summary>What Python's lazy filters give: true, without a length, gone over once.</summary>
sealed class Generator(List<object?> items)
{
    List<object?> items = items;
    int at;

    public List<object?> Take()
    {
        var taken = at == 0 ? items : items[at..];
        (items, at) = ([], 0);
        return taken;
    }

    public object? Next() => at < items.Count ? items[at++] : Undefined.Value;
}

/// <summary>Keys in the order they came: texts (looked up by string too) and numbers, equal as Python has it.</summary>
sealed class Dict : Dictionary<object, object?>
{
    public Dict() : base(KeyComparer.Instance) { }
}

/// <summary>What namespace(...) makes: the only thing whose attributes a template may set.</summary>
sealed class Namespace(Dict attributes)
{
    public Dict Attributes => attributes;
}

/// <summary>Something that can be called: a macro, a method, a global function.</summary>
sealed class Function(string name, Func<Arguments, object?> body)
{
    public string Name => name;

    public object? Call(Arguments arguments) => body(arguments);
}

/// <summary>Evaluated arguments of a call.</summary>
readonly record struct Arguments(List<object?> Positional, List<(string Name, object? Value)> Named);

/// <summary>Equality of a mapping's keys; a string stands for a text of that value.</summary>
sealed class KeyComparer : IEqualityComparer<object>
{
    public static readonly KeyComparer Instance = new();

    public new bool Equals(object? a, object? b) => Name(a) is { } name ? name == Name(b) : Name(b) is null && Values.Number(a) == Values.Number(b);

    public int GetHashCode(object key) => Name(key)?.GetHashCode(StringComparison.Ordinal) ?? HashCode.Combine(Values.Number(key));

    static string? Name(object? key) => key as string ?? (key is Text text ? text.Value : null);
}

/// <summary>What values are: null, Undefined, bool, long, double, Large, Text, lists, Dict, Generator, Namespace, Function, LoopState.</summary>
static class Values
{
    public static bool Truth(object? value) => value switch
    {
        null or Undefined or false or 0L or 0.0 => false,
        Large large => large.Value != 0,
        Text text => text.Value.Length > 0,
        List<object?> list => list.Count > 0,
        Dict dict => dict.Count > 0,
        _ => true,
    };

    public static double? Number(object? value) => value switch
    {
        long n => n,
        double d => d,
        Large r => r.Value,
        bool b => b ? 1 : 0,
        _ => null,
    };

    /// <summary>A whole number, true and false among them, as Python has it.</summary>
    public static long? Whole(object? value) => value switch
    {
        long n => n,
        bool b => b ? 1 : 0,
        _ => null,
    };

    /// <summary>A mapping's key.</summary>
    public static object Key(Meter meter, object? key)
    {
        if (key is Text text) meter.Characters(text.Value.Length);
        return key is Text or long or double or bool or Large ? key
            : throw meter.Wrong($"{Name(key)} cannot be a mapping's key: expected a string or a number");
    }

    /// <summary>What a loop or a filter of lists goes over: items, keys, characters.</summary>
    public static List<object?> Items(Meter meter, object? value)
    {
        switch (value)
        {
            case List<object?> list:
                meter.Elements(list.Count);
                return list;
            case Generator generator: return generator.Take();
            case Dict dict:
                meter.List(dict.Count);
                return [.. dict.Keys];
            case Text text: return Strings.CodePoints(meter, text);
            case Undefined: return [];
            default: throw meter.Wrong($"{Name(value)} is no list");
        }
    }

    public static string Name(object? value) => value switch
    {
        null => "none",
        Undefined => "an undefined value",
        bool => "a boolean",
        long or double or Large => "a number",
        Text => "a string",
        List<object?> => "a list",
        Generator => "a sequence that is gone over once",
        Dict => "a mapping",
        Namespace => "a namespace",
        LoopState => "a loop",
        _ => "a function",
    };

    /// <summary>A number as it is written.</summary>
    public static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
