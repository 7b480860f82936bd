using System.Globalization;
using System.Text;

namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>What values look like when written: Python's str and repr, and json.dumps as Hugging Face's tojson calls it.</summary>
static class Printing
{
    public static Text Written(Meter meter, object? value)
    {
        if (value is Text text) return text;
        if (value is Undefined) return new Text("", "");
        if (value is long whole) return JsonValues.Message(meter, Values.Number(whole));
        if (value is not (null or bool or long or double or Large or List<object?> or Dict)) throw meter.Wrong($"{Values.Name(value)} cannot be written");
        var to = new TextBuilder(meter);
        Repr(meter, value, to);
        return to.Build();
    }

    static void Repr(Meter meter, object? value, TextBuilder to)
    {
        meter.Elements(2);
        meter.Bytes(64);
        switch (value)
        {
            case Text text: Quote(text.Value, to); break;
            case null: to.Message("None"); break;
            case bool b: to.Message(b ? "True" : "False"); break;
            case long n: to.Message(Values.Number(n)); break;
            case double d:
                meter.Bytes(240);
                to.Message(Numbers.Written(d));
                break;
            case Large large: to.Message(large.Spelling); break;
            case Undefined: to.Message("Undefined"); break;
            case List<object?> list:
                meter.Enter();
                to.Message(list is Tuple ? "(" : "[");
                for (int i = 0; i < list.Count; i++)
                {
                    if (i > 0) to.Message(", ");
                    Repr(meter, list[i], to);
                }
                to.Message(list is Tuple ? list.Count == 1 ? ",)" : ")" : "]");
                meter.Leave();
                break;
            case Dict dict:
                meter.Enter();
                to.Message("{");
                bool first = true;
                foreach (var (key, item) in dict)
                {
                    if (!first) to.Message(", ");
                    first = false;
                    Repr(meter, key, to);
                    to.Message(": ");
                    Repr(meter, item, to);
                }
                to.Message("}");
                meter.Leave();
                break;
            default: throw meter.Wrong($"{Values.Name(value)} cannot be written");
        }
    }

    static void Quote(string text, TextBuilder to)
    {
        char quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        to.Message(quote);
        foreach (var rune in text.EnumerateRunes())
        {
            to.Escape();
            int code = rune.Value;
            if (code == quote || code == '\\') to.Message($"\\{(char)code}");
            else if (code is '\n' or '\r' or '\t') to.Message(code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t");
            else if (code == ' ' || Printable(Rune.GetUnicodeCategory(rune))) Append(rune, to);
            else to.Message(code < 256 ? $"\\x{code:x2}" : code < 65536 ? $"\\u{code:x4}" : $"\\U{code:x8}");
        }
        to.Message(quote);
    }

    static bool Printable(UnicodeCategory category) => category is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate
        or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.SpaceSeparator);

    static void Append(Rune rune, TextBuilder to)
    {
        Span<char> units = stackalloc char[2];
        to.Message(units[..rune.EncodeToUtf16(units)]);
    }

    /// <summary>How JSON is laid out. <paramref name="Indent"/>: null is one line.</summary>
    public sealed record Layout(string? Indent, string Comma, string Colon, bool Ascii, bool Sorted);

    public static Text Json(Meter meter, object? value, Layout layout)
    {
        var to = new TextBuilder(meter);
        Json(meter, value, layout, 0, to);
        return to.Build();
    }

    static void Json(Meter meter, object? value, Layout layout, int level, TextBuilder to)
    {
        meter.Elements(2);
        meter.Bytes(value is double ? 240 : 64);
        switch (value)
        {
            case Text text: QuoteJson(text.Value, layout.Ascii, to); break;
            case null: to.Message("null"); break;
            case bool b: to.Message(b ? "true" : "false"); break;
            case long n: to.Message(Values.Number(n)); break;
            case double d: to.Message(double.IsFinite(d) ? Numbers.Written(d) : double.IsNaN(d) ? "NaN" : d > 0 ? "Infinity" : "-Infinity"); break;
            case Large large: to.Message(large.Spelling); break;
            case List<object?> list:
                meter.Enter();
                to.Message("[");
                for (int i = 0; i < list.Count; i++)
                {
                    if (i > 0) to.Message(layout.Comma);
                    Line(layout, level + 1, to);
                    Json(meter, list[i], layout, level + 1, to);
                }
                if (list.Count > 0) Line(layout, level, to);
                to.Message("]");
                meter.Leave();
                break;
            case Dict dict:
                meter.Enter();
                to.Message("{");
                bool first = true;
                foreach (var (key, item) in layout.Sorted ? Sorted(meter, dict) : dict)
                {
                    if (!first) to.Message(layout.Comma);
                    first = false;
                    Line(layout, level + 1, to);
                    if (key is Text name) QuoteJson(name.Value, layout.Ascii, to);
                    else
                    {
                        to.Message("\"");
                        Json(meter, key, layout, level, to);
                        to.Message("\"");
                    }
                    to.Message(layout.Colon);
                    Json(meter, item, layout, level + 1, to);
                }
                if (dict.Count > 0) Line(layout, level, to);
                to.Message("}");
                meter.Leave();
                break;
            default: throw meter.Wrong($"{Values.Name(value)} cannot be written as JSON");
        }
    }

    static IEnumerable<KeyValuePair<object, object?>> Sorted(Meter meter, Dict dict)
    {
        meter.List(dict.Count);
        List<object?> keys = [.. dict.Keys];
        foreach (object? key in Comparison.Sort(meter, keys, static key => [key], reverse: false)) yield return KeyValuePair.Create(key!, dict[key!]);
    }

    static void Line(Layout layout, int level, TextBuilder to)
    {
        if (layout.Indent is null) return;
        to.Message("\n");
        for (int i = 0; i < level; i++) to.Message(layout.Indent);
    }

    static void QuoteJson(string text, bool ascii, TextBuilder to)
    {
        to.Message('"');
        int plain = 0;
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (c is >= ' ' and not ('"' or '\\') && !(ascii && c > '~' + 1)) continue;
            to.Message(text.AsSpan(plain, i - plain));
            plain = i + 1;
            to.Escape();
            to.Message(c switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\b' => "\\b",
                '\f' => "\\f",
                _ => $"\\u{(int)c:x4}",
            });
        }
        to.Message(text.AsSpan(plain));
        to.Message('"');
    }
}
