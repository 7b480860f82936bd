using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>
/// JSON from outside as values of templates. Half a surrogate pair in an escape, on which System.Text.Json throws, becomes U+FFFD, and so do bytes
/// that are no UTF-8.
/// </summary>
static class JsonValues
{
    public static object? Read(Meter meter, JsonElement json)
    {
        meter.Step();
        switch (json.ValueKind)
        {
            case JsonValueKind.String: return Message(meter, JsonText.String(json));
            case JsonValueKind.True: return true;
            case JsonValueKind.False: return false;
            case JsonValueKind.Number: return Number(json);
            case JsonValueKind.Array:
                int count = json.GetArrayLength();
                meter.List(count);
                meter.Enter();
                var list = new List<object?>(count);
                foreach (var item in json.EnumerateArray()) list.Add(Read(meter, item));
                meter.Leave();
                return list;
            case JsonValueKind.Object:
                meter.Entries(json.GetPropertyCount());
                meter.Enter();
                var dict = new Dict();
                foreach (var property in json.EnumerateObject()) dict[Message(meter, JsonText.Name(property))] = Read(meter, property.Value);
                meter.Leave();
                return dict;
            default: return null;
        }
    }

    public static Text Message(Meter meter, string text)
    {
        meter.Text(text.Length);
        return Text.Message(text);
    }

    /// <summary>Without a point and an exponent a whole number, as Python reads it.</summary>
    static object Number(JsonElement json)
    {
        string spelling = json.GetRawText();
        if (spelling.AsSpan().ContainsAny(".eE")) return json.GetDouble();
        return json.TryGetInt64(out long n) ? n : new Large(json.GetDouble(), spelling);
    }
}

/// <summary>The strings of JSON, whatever they hold.</summary>
static class JsonText
{
    public static string String(JsonElement json) => Unescape(JsonMarshal.GetRawUtf8Value(json)[1..^1]);

    public static string Name(JsonProperty property) => Unescape(JsonMarshal.GetRawUtf8PropertyName(property));

    static string Unescape(ReadOnlySpan<byte> raw)
    {
        string text = Encoding.UTF8.GetString(raw); // U+FFFD for what is no UTF-8
        if (!text.Contains('\\')) return text;
        var plain = new StringBuilder(text.Length);
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != '\\') plain.Append(text[i]);
            else if (text[++i] == 'u')
            {
                plain.Append((char)ushort.Parse(text.AsSpan(i + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
                i += 4;
            }
            else plain.Append(text[i] switch { 'n' => '\n', 't' => '\t', 'r' => '\r', 'b' => '\b', 'f' => '\f', var c => c });
        }
        return Unicode.Whole(plain.ToString());
    }

    /// <summary>A JSON text whose strings .NET can read: halves of surrogate pairs, as such and as escapes, are U+FFFD.</summary>
    public static string Readable(string json)
    {
        json = Unicode.Whole(json);
        if (!json.Contains("\\u", StringComparison.OrdinalIgnoreCase)) return json;
        var readable = json.ToCharArray();
        for (int i = 0; i + 1 < readable.Length; i++)
        {
            if (readable[i] != '\\') continue;
            if (Half(readable, i) is not { } half)
            {
                i++; // an escaped backslash escapes nothing
                continue;
            }
            if (char.IsHighSurrogate(half) && Half(readable, i + 6) is { } second && char.IsLowSurrogate(second)) i += 11;
            else
            {
                "fffd".CopyTo(0, readable, i + 2, 4);
                i += 5;
            }
        }
        return new string(readable);
    }

    /// <summary>The surrogate that an escape at a place writes, or null.</summary>
    static char? Half(char[] text, int at) =>
        at + 6 <= text.Length && text[at] == '\\' && text[at + 1] == 'u'
        && ushort.TryParse(text.AsSpan(at + 2, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ushort unit)
            && char.IsSurrogate((char)unit) ? (char)unit : null;
}
