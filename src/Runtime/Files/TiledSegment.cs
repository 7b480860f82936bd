using Tessera.Shaders;

namespace Tessera.Runtime.Files;

/// <summary>
/// One named region of a tiled file: a matrix in panels (type f32, bf16, f16, q8, q4), one behind the other for so many experts, a vector of F32, or bytes.
/// The hash is XxHash128 in hexadecimal.
/// </summary>
public sealed record TiledSegment(string Name, string Type, int Rows, int Cols, long Offset, long Bytes, string Hash, int? Experts = null)
{
    /// <summary>Larger than a tokenizer of 262,144 merges and 65,536 added tokens of the usual length.</summary>
    public const int MaxTokenizerBytes = 64 << 20;

    /// <summary>A template of a million characters, the most that are parsed.</summary>
    public const int MaxTemplateBytes = 4 << 20;

    /// <summary>More than any vector of a model: rows of q, k and v with 1024 heads of 256 each.</summary>
    public const int MaxVector = 1 << 20;

    /// <summary>Small enough to be hashed whenever a file is opened.</summary>
    internal bool IsSmall => Type is SegmentTypes.Vector || Name is "tokenizer" or "chat_template";

    /// <summary>Whether kind, shape and length fit each other.</summary>
    /// <exception cref="TesseraException">They do not: says which, and names the file.</exception>
    internal void Check(string file)
    {
        TesseraException Wrong(string what) => new($"{file}: segment '{Name}' {Type} ({Rows}, {Cols}): {what}");
        if (Name is null || Name.Length == 0 || Name.Any(char.IsControl)) throw new TesseraException($"{file}: a segment has no plain name");
        if (Rows < 0 || Cols < 0 || Bytes < 0 || Experts is <= 0 or > RouterOp.MaxExperts) throw Wrong($"no such shape for {Experts ?? 1} experts");
        int maxBytes = Name switch { "tokenizer" => MaxTokenizerBytes, "chat_template" => MaxTemplateBytes, _ => int.MaxValue };
        if (maxBytes < int.MaxValue && Type != SegmentTypes.Bytes) throw Wrong($"expected type {SegmentTypes.Bytes}");
        if (SegmentTypes.Panels(Type) is { } type)
        {
            UInt128 bytes = (UInt128)(Experts ?? 1) * (ulong)Tile.Bytes(type, Rows, Cols);
            if (bytes != (ulong)Bytes) throw Wrong($"expected {bytes} bytes, found {Bytes}");
            return;
        }
        if (Type is not (SegmentTypes.Vector or SegmentTypes.Bytes)) throw Wrong("expected type f32, bf16, f16, q8, q4, vector or bytes");
        if (Rows != 1 || Experts is not null) throw Wrong("expected a single row");
        if (Type == SegmentTypes.Vector && Cols > MaxVector) throw Wrong($"expected at most {MaxVector} values");
        long expected = (Type == SegmentTypes.Vector ? 4L : 1) * Cols;
        if (Bytes != expected) throw Wrong($"expected {expected} bytes, found {Bytes}");
        if (Bytes > maxBytes) throw Wrong($"expected at most {maxBytes} bytes");
    }
}

/// <summary>The types of segments.</summary>
public static class SegmentTypes
{
    public const string Vector = "vector", Bytes = "bytes";

    /// <summary>The type of a matrix in panels, or null.</summary>
    public static DType? Panels(string name) => WeightFormat.Named(name);
}
