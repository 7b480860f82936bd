using System.Text.Json;

namespace Tessera.Convert;

/// <summary>An object in one of a folder's JSON files; whatever is wrong in it is told with the file's path.</summary>
readonly record struct HfJson(string Path, JsonElement Object)
{
    public bool Has(string name) => Object.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>A positive whole number that must be there.</summary>
    public int Int(string name)
    {
        if (!Object.TryGetProperty(name, out var value)) throw Wrong($"{name} is missing");
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int n) && n > 0 ? n
            : throw Wrong($"{name}: expected a positive whole number, found {Brief(value)}");
    }

    public double? Number(string name)
    {
        if (!Has(name)) return null;
        var value = Object.GetProperty(name);
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double n) && double.IsFinite(n) ? n
            : throw Wrong($"{name}: expected a number, found {Brief(value)}");
    }

    /// <summary>One id or a list of them; none where the name is not there.</summary>
    public int[] Ids(string name)
    {
        if (!Has(name)) return [];
        var value = Object.GetProperty(name);
        var ids = value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().ToArray() : [value];
        var wrong = Wrong($"{name}: expected whole numbers, found {Brief(value)}");
        return [.. ids.Select(id => id.ValueKind == JsonValueKind.Number && id.TryGetInt32(out int n) && n >= 0 ? n : throw wrong)];
    }

    public string? Text(string name) => !Has(name) ? null : Object.GetProperty(name) is { ValueKind: JsonValueKind.String } value ? value.GetString()
        : throw Wrong($"{name}: expected a text, found {Brief(Object.GetProperty(name))}");

    /// <summary>False where the name is not there.</summary>
    public bool Flag(string name) => Has(name) && Object.GetProperty(name) is var value && value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Wrong($"{name}: expected true or false, found {Brief(value)}"),
    };

    /// <summary>The elements of a list; none where the name is not there.</summary>
    public JsonElement[] List(string name) =>
        !Has(name) ? [] : Object.GetProperty(name) is { ValueKind: JsonValueKind.Array } value ? [.. value.EnumerateArray()]
        : throw Wrong($"{name}: expected a list, found {Brief(Object.GetProperty(name))}");

    /// <summary>An object within, or null where the name is not there.</summary>
    public HfJson? Inner(string name) =>
        !Has(name) ? null : Object.GetProperty(name) is { ValueKind: JsonValueKind.Object } value ? this with { Object = value }
        : throw Wrong($"{name}: expected an object, found {Brief(Object.GetProperty(name))}");

    public TesseraException Wrong(string what) => new($"{Path}: {what}");

    /// <summary>A value as a message shows it: its beginning.</summary>
    public static string Brief(JsonElement value) =>
        value.ValueKind == JsonValueKind.Undefined ? "nothing" : value.ToString() is { Length: > 60 } text ? $"{text[..60]}…" : value.GetRawText();
}
