namespace Tessera.Shaders;

/// <summary>
/// The weight layout: panels of 16 rows, cut along K into tiles of 32, made of 32-bit words that hold consecutive K of one row.
/// A matrix (rows, cols) is the plane of values [panel][tile][word][row 0..15], then for quantised types the plane of scales [panel][tile][row 0..15] in
/// half, for Q4 with a byte for each row behind the halves of a tile.
/// Rows are padded to 16 and K to 32 with zeros. tile.glsl says the same in GLSL; a test holds the two together.
/// </summary>
public static class Tile
{
    public const int Rows = 16;
    public const int K = 32;
    public const int WordBytes = 4;

    /// <summary>Tokens that share one reading of a panel.</summary>
    public const int Tokens = 4;

    /// <summary>Slices of K, in which products of quantised weights with quantised activations are summed; see <see cref="Panel.Canonical"/>.</summary>
    public const int Slices = 32;

    /// <summary>The first tile of a slice. Where K has fewer tiles than slices, some slices are empty.</summary>
    public static int SliceStart(int tiles, int slice) => (int)((long)tiles * slice / Slices);

    public static int Panels(int rows) => (int)(((long)rows + Rows - 1) / Rows);

    public static int TokenTiles(int tokens) => (tokens + Tokens - 1) / Tokens;

    public static int Tiles(int cols) => (int)(((long)cols + K - 1) / K);

    /// <summary>K padded to whole tiles; also the stride of a row of activations.</summary>
    public static int Pad(int cols) => Tiles(cols) * K;

    /// <summary>Consecutive K in one word: 8 for Q4, 4 for Q8, 2 for halves, 1 for F32.</summary>
    public static int PerWord(DType type) => WordBytes * 8 / WeightFormat.Of(type).Bits;

    /// <summary>Bytes of the values of one tile: 256, 512, 1024 or 2048.</summary>
    public static int ValueBytes(DType type) => Rows * K * WeightFormat.Of(type).Bits / 8;

    /// <summary>Bytes of the scales of one tile: 16 halves for quantised types and, where they have zeros, 16 bytes; none for exact types.</summary>
    public static int ScaleBytes(DType type) => WeightFormat.Of(type) is { IsQuantised: true } format ? Rows * (format.HasZero ? 3 : 2) : 0;

    /// <summary>Offset of the plane of scales; equal to the whole size for exact types.</summary>
    public static long ScalePlane(DType type, int rows, int cols) => (long)Panels(rows) * Tiles(cols) * ValueBytes(type);

    public static long Bytes(DType type, int rows, int cols) => (long)Panels(rows) * Tiles(cols) * (ValueBytes(type) + ScaleBytes(type));

    /// <summary>Byte offset in the plane of values of the word that holds element (row, k).</summary>
    public static long WordOffset(DType type, int cols, int row, int k)
    {
        int bits = WeightFormat.Of(type).Bits;
        long tile = (long)(row / Rows) * Tiles(cols) + k / K;
        return tile * (Rows * K / 8 * bits) + (k % K * bits / 32 * Rows + row % Rows) * WordBytes;
    }

    /// <summary>The lowest bit of element k in its word. Q4: four low halves of bytes, then four high ones, so that a mask gives operands of bytes.</summary>
    public static int Shift(DType type, int k)
    {
        int bits = WeightFormat.Of(type).Bits;
        return bits < 8 ? k % 4 * 8 + k / 4 % 2 * bits : k * bits % 32;
    }

    /// <summary>Byte offset in the plane of values of the byte that element (row, k) begins in.</summary>
    public static long ValueOffset(DType type, int cols, int row, int k) => WordOffset(type, cols, row, k) + Shift(type, k) / 8;

    /// <summary>Byte offset, within the plane of scales, of the half that scales element (row, k) of a quantised matrix.</summary>
    public static long ScaleOffset(DType type, int cols, int row, int k) => ((long)(row / Rows) * Tiles(cols) + k / K) * ScaleBytes(type) + row % Rows * 2;

    /// <summary>Byte offset, within the plane of scales, of the zero of element (row, k).</summary>
    public static long ZeroOffset(DType type, int cols, int row, int k) =>
        ((long)(row / Rows) * Tiles(cols) + k / K) * ScaleBytes(type) + Rows * 2 + row % Rows;
}
