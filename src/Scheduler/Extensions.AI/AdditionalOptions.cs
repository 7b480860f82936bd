using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Tessera.Extensions.AI;

/// <summary>The additional properties that are known: each of its type, as such or as JSON; null where it is not there.</summary>
static class AdditionalOptions
{
    public const string MinP = "min_p", RepetitionPenalty = "repetition_penalty", CacheSalt = "cache_salt", Priority = "priority";

    public static readonly string[] Known = [MinP, RepetitionPenalty, CacheSalt, Priority];

    public static double? Number(AdditionalPropertiesDictionary? properties, string key) => Value(properties, key) switch
    {
        null => null,
        float number => number,
        double number => number,
        decimal number => (double)number,
        int number => number,
        long number => number,
        JsonElement { ValueKind: JsonValueKind.Number } json => json.GetDouble(),
        var other => throw Refusal(key, "a number", other),
    };

    public static int? Whole(AdditionalPropertiesDictionary? properties, string key)
    {
        double? number = Number(properties, key);
        return number is null || number == (int)number ? (int?)number : throw Refusal(key, "a whole number of 32 bits", number);
    }

    public static string? Text(AdditionalPropertiesDictionary? properties, string key) => Value(properties, key) switch
    {
        null => null,
        string text => text,
        JsonElement { ValueKind: JsonValueKind.String } json => json.GetString(),
        var other => throw Refusal(key, "a text", other),
    };

    static object? Value(AdditionalPropertiesDictionary? properties, string key) =>
        properties is null || !properties.TryGetValue(key, out object? value) || value is JsonElement { ValueKind: JsonValueKind.Null } ? null : value;

    static TesseraException Refusal(string key, string expected, object found) =>
        new(FormattableString.Invariant($"AdditionalProperties, {key}: expected {expected}, found {found} ({found.GetType().Name})"));
}
