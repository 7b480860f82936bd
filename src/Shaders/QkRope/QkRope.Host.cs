using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tessera.Shaders;

public static unsafe partial class QkRopeOp
{
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        int all = a.Heads + 2 * a.KvHeads, half = a.HeadDim / 2;
        int tokens = call.Count(Count, a.Tokens);
        float* rotated = stackalloc float[a.HeadDim];
        for (int unit = begin; unit < end; unit++)
        {
            int t = unit / all, head = unit % all;
            if (t >= tokens) break;
            float* x = call.At<float>(Qkv) + (long)t * Tile.Pad(all * a.HeadDim) + head * a.HeadDim;
            if (head >= a.Heads + a.KvHeads)
            {
                Store(call, Values, t, head - a.Heads - a.KvHeads, x);
                continue;
            }
            bool query = head < a.Heads;
            float* w = call.At<float>(query ? QNorm : KNorm), rope = call.At<float>(Rope) + (long)t * a.HeadDim;
            float* to = query ? x : rotated;
            Vector512<float> squares = default;
            for (int d = 0; d < a.HeadDim; d += 16) squares = Vector512.FusedMultiplyAdd(Vector512.Load(x + d), Vector512.Load(x + d), squares);
            var factor = Vector512.Create(1 / MathF.Sqrt(Lanes.Sum(squares) / a.HeadDim + a.Eps));
            for (int d = 0; d < half; d += 16)
            {
                var low = Vector512.Load(x + d) * factor * Vector512.Load(w + d);
                var high = Vector512.Load(x + d + half) * factor * Vector512.Load(w + d + half);
                Vector512<float> cos = Vector512.Load(rope + d), sin = Vector512.Load(rope + d + half);
                (low * cos - high * sin).Store(to + d);
                (high * cos + low * sin).Store(to + d + half);
            }
            if (!query) Store(call, Keys, t, head - a.Heads, rotated);
        }
    }

    /// <summary>Stores a token's key or value of one head, x (headDim); see <see cref="KvBlock"/>.</summary>
    static void Store(Call call, int cache, int token, int kvHead, float* x)
    {
        var a = call.Args<Args>();
        int slot = call.At<int>(Slots)[token], place = slot % KvBlock.Tokens, scaleBlocks = a.HeadDim / Tile.K;
        if (slot < 0) return;
        DType type = call.Tensors[cache].Type;
        int bytes = Tile.K * type.ElementBytes();
        byte* block = call.At<byte>(cache) + KvBlock.Offset(type, a.KvHeads, a.HeadDim, slot / KvBlock.Tokens, kvHead);
        float* scales = (float*)(block + KvBlock.Tokens * a.HeadDim);
        byte* packed = stackalloc byte[Tile.K * sizeof(float)];
        for (int g = 0; g < scaleBlocks; g++)
        {
            Vector512<float> low = Vector512.Load(x + g * Tile.K), high = Vector512.Load(x + g * Tile.K + 16);
            if (type == DType.F16)
            {
                Lanes.StoreHalves(packed, low);
                Lanes.StoreHalves(packed + 32, high);
            }
            else Lanes.StoreBlock(packed, type == DType.Q8 ? DType.A8 : DType.F32, Tile.K, 0, low, high);
            if (cache == Values) Unsafe.CopyBlockUnaligned(block + KvBlock.ValueOffset(type, a.HeadDim, place, g * Tile.K), packed, (uint)bytes);
            else
            {
                int* words = (int*)(block + KvBlock.KeyOffset(type, place, g * Tile.K));
                for (int w = 0; w < bytes / Tile.WordBytes; w++) words[w * KvBlock.Tokens] = ((int*)packed)[w];
            }
            if (type == DType.Q8) scales[cache == Values ? place * scaleBlocks + g : g * KvBlock.Tokens + place] = *(float*)(packed + Rows.ScaleOffset(Tile.K));
        }
    }
}
