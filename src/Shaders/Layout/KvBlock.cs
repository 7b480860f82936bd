namespace Tessera.Shaders;

/// <summary>
/// The layout of the KV cache of a layer: blocks of 16 tokens, F32, F16 or Q8. A block of keys of one head is a panel of weights
/// (its rows are tokens, its K is the head's dimension), so that scores are the same product as everywhere; values lie token after token.
/// Keys: [block][kvHead]{[word of dim][token 16]}; values: [block][kvHead]{[token 16][dim]}. With Q8 an F32 scale for each 32 dimensions of a token
/// follows within the braces: [dim / 32][token 16] for keys, [token 16][dim / 32] for values.
/// </summary>
public static class KvBlock
{
    public const int Tokens = Tile.Rows;

    const int ScaleBlock = Tile.K; // dimensions that share a scale

    /// <summary>Bytes of the block of one head.</summary>
    public static long HeadBytes(DType type, int headDim) => (long)Tokens * headDim * type.ElementBytes()
        + (type == DType.Q8 ? Tokens * headDim / ScaleBlock * 4 : 0);

    /// <summary>Byte offset of the block of one head, the same for keys and values.</summary>
    public static long Offset(DType type, int kvHeads, int headDim, int block, int kvHead) => ((long)block * kvHeads + kvHead) * HeadBytes(type, headDim);

    /// <summary>Byte offset of dimension d of a token within its head's block of keys.</summary>
    public static int KeyOffset(DType type, int token, int d) => (int)Tile.ValueOffset(type, Tile.K, token, d % Tile.K) + d / Tile.K * Tile.ValueBytes(type);

    /// <summary>Byte offset of dimension d of a token within its head's block of values.</summary>
    public static int ValueOffset(DType type, int headDim, int token, int d) => (token * headDim + d) * type.ElementBytes();

    public static long Bytes(DType type, int kvHeads, int headDim, int blocks) => Offset(type, kvHeads, headDim, blocks, 0);

    /// <summary>The tensor of all keys, or of all values, of one layer.</summary>
    public static Tensor Tensor(DeviceMemory memory, long offset, DType type, int kvHeads, int headDim, int blocks) =>
        Shaders.Tensor.Checked(memory, offset, Bytes(type, kvHeads, headDim, blocks), type, blocks * kvHeads * Tokens, headDim);

    internal static unsafe float ReadKey(byte* block, DType type, int headDim, int token, int d) =>
        Read(block + KeyOffset(type, token, d), type, block + Tokens * headDim + (d / ScaleBlock * Tokens + token) * 4);

    internal static unsafe float ReadValue(byte* block, DType type, int headDim, int token, int d) =>
        Read(block + ValueOffset(type, headDim, token, d), type, block + Tokens * headDim + (token * headDim / ScaleBlock + d / ScaleBlock) * 4);

    /// <summary>Stores the key of a token, (headDim).</summary>
    internal static unsafe void StoreKey(byte* block, DType type, int headDim, int token, float* key)
    {
        for (int d = 0; d < headDim; d += ScaleBlock)
        {
            float scale = Scale(type, key + d);
            if (type == DType.Q8) *(float*)(block + Tokens * headDim + (d / ScaleBlock * Tokens + token) * 4) = scale;
            for (int i = d; i < d + ScaleBlock; i++) Write(block + KeyOffset(type, token, i), type, key[i], scale);
        }
    }

    /// <summary>Stores the value of a token, (headDim).</summary>
    internal static unsafe void StoreValue(byte* block, DType type, int headDim, int token, float* value)
    {
        for (int d = 0; d < headDim; d += ScaleBlock)
        {
            float scale = Scale(type, value + d);
            if (type == DType.Q8) *(float*)(block + Tokens * headDim + (token * headDim / ScaleBlock + d / ScaleBlock) * 4) = scale;
            for (int i = d; i < d + ScaleBlock; i++) Write(block + ValueOffset(type, headDim, token, i), type, value[i], scale);
        }
    }

    /// <summary>absmax / 127, as for activations in A8; 0 where all is too small to count.</summary>
    static unsafe float Scale(DType type, float* block)
    {
        if (type != DType.Q8) return 1;
        float largest = 0;
        for (int i = 0; i < ScaleBlock; i++) largest = MathF.Max(largest, MathF.Abs(block[i]));
        return largest < Elements.SmallestScaled ? 0 : largest / 127;
    }

    static unsafe float Read(byte* at, DType type, byte* scale) => type switch
    {
        DType.F32 => *(float*)at,
        DType.F16 => (float)*(Half*)at,
        _ => *(sbyte*)at * *(float*)scale,
    };

    static unsafe void Write(byte* at, DType type, float value, float scale)
    {
        if (type == DType.F32) *(float*)at = value;
        else if (type == DType.F16) *(Half*)at = (Half)value;
        else *(sbyte*)at = scale == 0 ? (sbyte)0 : (sbyte)MathF.Round(value / scale, MidpointRounding.ToEven);
    }
}
