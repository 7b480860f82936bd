namespace Tessera.Shaders;

public static unsafe partial class QkRopeOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        int all = a.Heads + 2 * a.KvHeads, half = a.HeadDim / 2;
        int tokens = call.Count(Count, a.Tokens);
        var rotated = new float[a.HeadDim];
        for (int unit = begin; unit < end; unit++)
        {
            int t = unit / all, head = unit % all;
            if (t >= tokens) break;
            float* x = call.At<float>(Qkv) + (long)t * Tile.Pad(all * a.HeadDim) + head * a.HeadDim;
            if (head >= a.Heads + a.KvHeads)
            {
                StoreValue(call, t, head - a.Heads - a.KvHeads, x);
                continue;
            }
            bool query = head < a.Heads;
            float* w = call.At<float>(query ? QNorm : KNorm), rope = call.At<float>(Rope) + (long)t * a.HeadDim;
            double squares = 0;
            for (int d = 0; d < a.HeadDim; d++) squares += (double)x[d] * x[d];
            double factor = 1 / Math.Sqrt(squares / a.HeadDim + a.Eps);
            for (int d = 0; d < half; d++)
            {
                double low = x[d] * factor * w[d], high = x[d + half] * factor * w[d + half];
                rotated[d] = (float)(low * rope[d] - high * rope[d + half]);
                rotated[d + half] = (float)(high * rope[d] + low * rope[d + half]);
            }
            if (query) rotated.CopyTo(new Span<float>(x, a.HeadDim));
            else
                fixed (float* k = rotated) StoreKey(call, t, head - a.Heads, k);
        }
    }

    static void StoreKey(Call call, int token, int kvHead, float* key)
    {
        var a = call.Args<Args>();
        int slot = call.At<int>(Slots)[token];
        if (slot < 0) return;
        DType type = call.Tensors[Keys].Type;
        byte* block = call.At<byte>(Keys) + KvBlock.Offset(type, a.KvHeads, a.HeadDim, slot / KvBlock.Tokens, kvHead);
        KvBlock.StoreKey(block, type, a.HeadDim, slot % KvBlock.Tokens, key);
    }

    static void StoreValue(Call call, int token, int kvHead, float* value)
    {
        var a = call.Args<Args>();
        int slot = call.At<int>(Slots)[token];
        if (slot < 0) return;
        DType type = call.Tensors[Values].Type;
        byte* block = call.At<byte>(Values) + KvBlock.Offset(type, a.KvHeads, a.HeadDim, slot / KvBlock.Tokens, kvHead);
        KvBlock.StoreValue(block, type, a.HeadDim, slot % KvBlock.Tokens, value);
    }
}
