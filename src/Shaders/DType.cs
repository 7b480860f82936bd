namespace Tessera;

/// <summary>How the elements of a tensor are stored.</summary>
public enum DType : byte
{
    F32,
    BF16,
    F16,
    /// <summary>Weights: s8 in [-127, 127] with one half scale per 32 along K.</summary>
    Q8,
    /// <summary>Weights: q of 4 bits for (q - zero / 16) · scale, with one half scale and one byte of zero per 32 along K.</summary>
    Q4,
    /// <summary>Activations: per 32 values s8 with an F32 scale and the sum of the s8; see <see cref="Shaders.Rows"/>.</summary>
    A8,
    I32,
}

public static class DTypes
{
    /// <summary>The name people type and files carry: f32, bf16, f16, q8, q4.</summary>
    public static string Name(this DType type) => type switch
    {
        DType.F32 => "f32",
        DType.BF16 => "bf16",
        DType.F16 => "f16",
        DType.Q8 => "q8",
        DType.Q4 => "q4",
        DType.A8 => "a8",
        DType.I32 => "i32",
        _ => throw new TesseraException($"type {(int)type} is not known"),
    };

    /// <summary>Bytes of one element, where it is made of whole bytes; scales come on top.</summary>
    public static int ElementBytes(this DType type) => type switch
    {
        DType.F32 or DType.I32 => 4,
        DType.BF16 or DType.F16 => 2,
        DType.Q8 or DType.A8 => 1,
        _ => throw new TesseraException($"an element of {type.Name()} is no whole byte"),
    };
}
