using System.Text.Json;
using System.Text.Json.Serialization;
using Tessera.Runtime.Models;
using Tessera.Runtime.Sampling;

namespace Tessera.Runtime.Files;

/// <summary>What a tiled file says of itself: JSON behind the segments.</summary>
public sealed record TiledIndex
{
    public required string Name { get; init; }
    public required string Architecture { get; init; }
    public required Qwen3Config Config { get; init; }
    public required GenerationDefaults Generation { get; init; }
    public required List<TiledSegment> Segments { get; init; }

    /// <summary>The index as it lies in the file.</summary>
    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, TiledJson.Default.TiledIndex);

    internal static TiledIndex FromJson(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize(json, TiledJson.Default.TiledIndex) ?? throw new JsonException("the index is null");
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    MaxDepth = 16)]
[JsonSerializable(typeof(TiledIndex))]
sealed partial class TiledJson : JsonSerializerContext;
