namespace Tessera.Shaders;

/// <summary>
/// The weight layout: panels of 16 rows, cut along K into tiles of 32, made of 32-bit words that hold consecutive K of one row.
/// A matrix (rows, cols) is the plane of values [panel][tile][word][row 0..15], then for Q8 the plane of scales [panel][tile][row 0..15] in half.
/// Rows are padded to 16 and K to 32 with zeros. tile.glsl says the same in GLSL; a test holds the two together.
/// </summary>
public static class Tile
{
    public const int Rows = 16;
    public const int K = 32;
    public const int WordBytes = 4;

    /// <summary>Tokens that share one reading of a panel.</summary>
    public const int Tokens = 4;

    public static int Panels(int rows) => (int)(((long)rows + Rows - 1) / Rows);

    public static int TokenTiles(int tokens) => (tokens + Tokens - 1) / Tokens;

    public static int Tiles(int cols) => (int)(((long)cols + K - 1) / K);

    /// <summary>K padded to whole tiles; also the stride of a row of activations.</summary>
    public static int Pad(int cols) => Tiles(cols) * K;

    /// <summary>Consecutive K in one word: 4 for Q8, 2 for halves, 1 for F32.</summary>
    public static int PerWord(DType type) => WordBytes / type.ElementBytes();

    /// <summary>Bytes of the values of one tile: 512, 1024 or 2048.</summary>
    public static int ValueBytes(DType type) => Rows * K * type.ElementBytes();

    /// <summary>Bytes of the scales of one tile: 16 halves for Q8, none for exact types.</summary>
    public static int ScaleBytes(DType type) => type == DType.Q8 ? Rows * 2 : 0;

    /// <summary>Offset of the plane of scales; equal to the whole size for exact types.</summary>
    public static long ScalePlane(DType type, int rows, int cols) => (long)Panels(rows) * Tiles(cols) * ValueBytes(type);

    public static long Bytes(DType type, int rows, int cols) => (long)Panels(rows) * Tiles(cols) * (ValueBytes(type) + ScaleBytes(type));

    /// <summary>Byte offset of element (row, k) in the plane of values.</summary>
    public static long ValueOffset(DType type, int cols, int row, int k)
    {
        int perWord = PerWord(type);
        long tile = (long)(row / Rows) * Tiles(cols) + k / K;
        return tile * ValueBytes(type) + (k % K / perWord * Rows + row % Rows) * WordBytes + k % perWord * type.ElementBytes();
    }

    /// <summary>Byte offset, within the plane of scales, of the half that scales element (row, k) of a Q8 matrix.</summary>
    public static long ScaleOffset(int cols, int row, int k) => (((long)(row / Rows) * Tiles(cols) + k / K) * Rows + row % Rows) * 2;
}
