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

    internal byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, TiledJson.Default.TiledIndex);

    internal static TiledIndex FromJson(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize(json, TiledJson.Default.TiledIndex) ?? throw new JsonException("the index is null");
}

/// <summary>One named region of a tiled file: a matrix in panels (type f32, bf16, f16, q8), one behind the other for so many experts, a vector of F32, or bytes. The hash is XxHash128 in hexadecimal.</summary>
public sealed record TiledSegment(string Name, string Type, int Rows, int Cols, long Offset, long Bytes, string Hash, int? Experts = null);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, MaxDepth = 16)]
[JsonSerializable(typeof(TiledIndex))]
sealed partial class TiledJson : JsonSerializerContext;
