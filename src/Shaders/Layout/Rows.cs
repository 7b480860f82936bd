namespace Tessera.Shaders;

/// <summary>
/// The layout of activations: one row after the other, each padded to whole tiles along the columns; the padding holds zeros.
/// F32: Pad(cols) floats. A16, for weights of 16 bits: Pad(cols) halves (type F16), rounded to even; what no half holds becomes infinite, so that it shows.
/// A8: [q: Pad(cols) s8][scale: Pad(cols)/32 F32][sum of q: Pad(cols)/32 I32], rounded up to 64 bytes.
/// </summary>
public static class Rows
{
    public static int Stride(DType type, int cols)
    {
        int padded = Tile.Pad(cols);
        return type == DType.A8 ? (padded + padded / 4 + 63) / 64 * 64 : padded * type.ElementBytes();
    }

    /// <summary>Whether activations can be of a type.</summary>
    public static bool Store(DType type) => type is DType.F32 or DType.F16 or DType.A8;

    public static long Bytes(DType type, int rows, int cols) => (long)rows * Stride(type, cols);

    /// <summary>Byte offset of the scales within an A8 row.</summary>
    public static int ScaleOffset(int cols) => Tile.Pad(cols);

    /// <summary>Byte offset of the sums within an A8 row.</summary>
    public static int SumOffset(int cols) => Tile.Pad(cols) + Tile.Pad(cols) / 8;
}
