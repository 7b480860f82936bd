using System.Runtime.Intrinsics;

namespace Tessera.Shaders;

public static unsafe partial class CombineOp
{
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        int padded = Tile.Pad(a.Dim);
        end = Math.Min(end, call.Count(Count, a.Tokens));
        for (int t = begin; t < end; t++)
        {
            float* x = call.At<float>(X) + (long)t * padded, z = call.At<float>(Z) + (long)t * a.PerToken * padded;
            float* shares = call.At<float>(Shares) + t * a.PerToken;
            int c = 0;
            for (; c + 16 <= a.Dim; c += 16)
            {
                Vector512<float> sum = default;
                for (int i = 0; i < a.PerToken; i++)
                    sum = Vector512.FusedMultiplyAdd(Vector512.Create(shares[i]), Vector512.Load(z + (long)i * padded + c), sum);
                (Vector512.Load(x + c) + sum).Store(x + c);
            }
            for (; c < a.Dim; c++)
            {
                float sum = 0;
                for (int i = 0; i < a.PerToken; i++) sum = MathF.FusedMultiplyAdd(shares[i], z[(long)i * padded + c], sum);
                x[c] += sum;
            }
        }
    }
}
