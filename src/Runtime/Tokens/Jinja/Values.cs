using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>A name that is not there: false, empty, and an error only where it is used as something.</summary>
sealed class Undefined
{
    public static readonly Undefined Value = new();
}

/// <summary>A JSON number that is no 64-bit integer, in its own spelling.</summary>
readonly record struct Real(double Value, string Spelling);

/// <summary>Keys in the order they came.</summary>
sealed class Dict : Dictionary<string, object?>
{
    public Dict() : base(StringComparer.Ordinal) { }
}

/// <summary>What values are: null, Undefined, bool, long, double, Real, Text, List, Dict. Python's rules of truth, equality and order.</summary>
static class Values
{
    const int MaxDepth = 64, MaxCompared = 1 << 20;

    public static object? FromJson(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.String => Text.Message(json.GetString()!),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Number => json.TryGetInt64(out long n) && json.GetRawText() == n.ToString(CultureInfo.InvariantCulture) ? n : new Real(json.GetDouble(), json.GetRawText()),
        JsonValueKind.Array => json.EnumerateArray().Select(FromJson).ToList(),
        JsonValueKind.Object => FromObject(json),
        _ => null,
    };

    static Dict FromObject(JsonElement json)
    {
        var dict = new Dict();
        foreach (var property in json.EnumerateObject()) dict[property.Name] = FromJson(property.Value);
        return dict;
    }

    public static bool Truth(object? value) => value switch
    {
        null or Undefined or false or 0L or 0.0 => false,
        Real real => real.Value != 0,
        Text text => text.Value.Length > 0,
        List<object?> list => list.Count > 0,
        Dict dict => dict.Count > 0,
        _ => true,
    };

    public static bool Same(object? a, object? b)
    {
        int compared = 0;
        return Same(a, b, 0, ref compared);
    }

    // A list may hold itself, or one list many times: depth and work are bounded, here and in Json.
    static bool Same(object? a, object? b, int depth, ref int compared)
    {
        if (depth > MaxDepth || ++compared > MaxCompared) throw TooDeep();
        switch (a, b)
        {
            case (Text x, Text y): return x.Value == y.Value;
            case (List<object?> x, List<object?> y):
                if (x.Count != y.Count) return false;
                for (int i = 0; i < x.Count; i++)
                    if (!Same(x[i], y[i], depth + 1, ref compared)) return false;
                return true;
            case (Dict x, Dict y):
                if (x.Count != y.Count) return false;
                foreach (var (key, value) in x)
                    if (!y.TryGetValue(key, out var other) || !Same(value, other, depth + 1, ref compared)) return false;
                return true;
            default: return Number(a) is { } left && Number(b) is { } right ? left == right : Equals(a, b);
        }
    }

    static TesseraException TooDeep() => new($"chat template: a value is nested deeper than {MaxDepth} or too large");

    public static double? Number(object? value) => value switch
    {
        long n => n,
        double d => d,
        Real r => r.Value,
        bool b => b ? 1 : 0,
        _ => null,
    };

    public static int Compare(object? a, object? b, int line) => (a, b) switch
    {
        (Text x, Text y) => string.CompareOrdinal(x.Value, y.Value),
        _ when Number(a) is { } x && Number(b) is { } y => x.CompareTo(y),
        _ => throw new TesseraException($"chat template, line {line}: {Name(a)} and {Name(b)} have no order"),
    };

    /// <summary>What a loop or a filter of lists goes over: items, keys, characters.</summary>
    public static List<object?> Items(object? value, int line) => value switch
    {
        List<object?> list => list,
        Dict dict => [.. dict.Keys.Select(k => (object?)Text.Message(k))],
        Text text => [.. Enumerable.Range(0, text.Value.Length).Select(i => (object?)text.Slice(i, 1))],
        Undefined => [],
        _ => throw new TesseraException($"chat template, line {line}: {Name(value)} is no list"),
    };

    public static string Name(object? value) => value switch
    {
        null => "none",
        Undefined => "an undefined value",
        bool => "a boolean",
        long or double or Real => "a number",
        Text => "a string",
        List<object?> => "a list",
        Dict => "a mapping",
        _ => "a function",
    };

    /// <summary>What a value looks like when written.</summary>
    public static Text Written(object? value) => value switch
    {
        Text text => text,
        null => Text.Message("None"),
        Undefined => Text.Message(""),
        bool b => Text.Message(b ? "True" : "False"),
        long n => Text.Message(n.ToString(CultureInfo.InvariantCulture)),
        double d => Text.Message(d.ToString("R", CultureInfo.InvariantCulture)),
        Real r => Text.Message(r.Spelling),
        List<object?> or Dict => Text.Message(Json(value, 0)),
        _ => throw new TesseraException($"chat template: {Name(value)} cannot be written"),
    };

    /// <summary>JSON as Python's json.dumps(ensure_ascii=False) writes it.</summary>
    public static string Json(object? value, int indent)
    {
        var to = new StringBuilder();
        Json(value, indent, 0, to);
        return to.ToString();
    }

    static void Json(object? value, int indent, int depth, StringBuilder to)
    {
        if (depth > MaxDepth || to.Length > Text.MaxCharacters) throw TooDeep();
        void Line(int level) { if (indent > 0) to.Append('\n').Append(' ', indent * level); }
        string comma = indent > 0 ? "," : ", ";
        switch (value)
        {
            case Text text: Quote(text.Value, to); break;
            case bool b: to.Append(b ? "true" : "false"); break;
            case List<object?> list:
                to.Append('[');
                for (int i = 0; i < list.Count; i++)
                {
                    if (i > 0) to.Append(comma);
                    Line(depth + 1);
                    Json(list[i], indent, depth + 1, to);
                }
                if (list.Count > 0) Line(depth);
                to.Append(']');
                break;
            case Dict dict:
                to.Append('{');
                bool first = true;
                foreach (var (key, item) in dict)
                {
                    if (!first) to.Append(comma);
                    first = false;
                    Line(depth + 1);
                    Quote(key, to);
                    to.Append(": ");
                    Json(item, indent, depth + 1, to);
                }
                if (dict.Count > 0) Line(depth);
                to.Append('}');
                break;
            case null or Undefined: to.Append("null"); break;
            default: to.Append(Written(value).Value); break;
        }
    }

    static void Quote(string text, StringBuilder to)
    {
        to.Append('"');
        foreach (char c in text)
            _ = c switch
            {
                '"' => to.Append("\\\""),
                '\\' => to.Append("\\\\"),
                '\n' => to.Append("\\n"),
                '\r' => to.Append("\\r"),
                '\t' => to.Append("\\t"),
                '\b' => to.Append("\\b"),
                '\f' => to.Append("\\f"),
                < ' ' => to.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture)),
                _ => to.Append(c),
            };
        to.Append('"');
    }
}
