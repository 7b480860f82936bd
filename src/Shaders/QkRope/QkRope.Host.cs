using System.Runtime.Intrinsics;

namespace Tessera.Shaders;

public static unsafe partial class QkRopeOp
{
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        int all = a.Heads + 2 * a.KvHeads, half = a.HeadDim / 2;
        int tokens = call.Count(Count, a.Tokens);
        float* turned = stackalloc float[a.HeadDim];
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
            float* to = query ? x : turned;
            Vector512<float> squares = default;
            for (int d = 0; d < a.HeadDim; d += 16) squares = Vector512.FusedMultiplyAdd(Vector512.Load(x + d), Vector512.Load(x + d), squares);
            var factor = Vector512.Create(1 / MathF.Sqrt(Vector512.Sum(squares) / a.HeadDim + a.Eps));
            for (int d = 0; d < half; d += 16)
            {
                var low = Vector512.Load(x + d) * factor * Vector512.Load(w + d);
                var high = Vector512.Load(x + d + half) * factor * Vector512.Load(w + d + half);
                Vector512<float> cos = Vector512.Load(rope + d), sin = Vector512.Load(rope + d + half);
                (low * cos - high * sin).Store(to + d);
                (high * cos + low * sin).Store(to + d + half);
            }
            if (!query) StoreKey(call, t, head - a.Heads, turned);
        }
    }
}
