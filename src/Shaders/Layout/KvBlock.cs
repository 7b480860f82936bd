namespace Tessera.Shaders;

/// <summary>
/// The layout of the KV cache of a layer: blocks of 16 tokens, F32 or F16. A block of keys of one head is a panel of weights
/// (its rows are tokens, its K is the head's dimension), so that scores are the same product as everywhere; values lie token after token.
/// Keys: [block][kvHead][word of dim][token 16]; values: [block][kvHead][token 16][dim].
/// </summary>
public static class KvBlock
{
    public const int Tokens = Tile.Rows;

    /// <summary>Byte offset of the block of one head, the same for keys and values.</summary>
    public static long Offset(DType type, int kvHeads, int headDim, int block, int kvHead) =>
        ((long)block * kvHeads + kvHead) * Tokens * headDim * type.ElementBytes();

    /// <summary>Byte offset of dimension d of a token within its head's block of keys.</summary>
    public static int KeyOffset(DType type, int token, int d) => (int)Tile.ValueOffset(type, Tile.K, token, d % Tile.K) + d / Tile.K * Tile.ValueBytes(type);

    /// <summary>Byte offset of dimension d of a token within its head's block of values.</summary>
    public static int ValueOffset(DType type, int headDim, int token, int d) => (token * headDim + d) * type.ElementBytes();

    public static long Bytes(DType type, int kvHeads, int headDim, int blocks) => Offset(type, kvHeads, headDim, blocks, 0);

    /// <summary>The tensor of all keys, or of all values, of one layer.</summary>
    public static Tensor Tensor(DeviceMemory memory, long offset, DType type, int kvHeads, int headDim, int blocks) =>
        Shaders.Tensor.Packed(memory, offset, type, blocks * kvHeads * Tokens, headDim);

    internal static unsafe float Read(byte* at, DType type) => type == DType.F32 ? *(float*)at : (float)*(Half*)at;

    internal static unsafe void Write(byte* at, DType type, float value)
    {
        if (type == DType.F32) *(float*)at = value;
        else *(Half*)at = (Half)value;
    }
}
