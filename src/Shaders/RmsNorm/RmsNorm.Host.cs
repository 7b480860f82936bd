using System.Runtime.Intrinsics;

namespace Tessera.Shaders;

public static unsafe partial class RmsNormOp
{
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        Tensor y = call.Tensors[Y];
        int stride = Rows.Stride(y.Type, a.Dim);
        end = Math.Min(end, call.Count(Count, a.Tokens));
        for (int t = begin; t < end; t++)
            Row(call.At<float>(X) + (long)t * Tile.Pad(a.Dim), call.At<float>(W), a.Dim, a.Eps, call.At<byte>(Y) + (long)t * stride, y.Type);
    }

    /// <summary>One row, stored as a type.</summary>
    internal static void Row(float* x, float* w, int dim, float eps, byte* to, DType type)
    {
        float* tail = stackalloc float[32];
        var factor = Vector512.Create(1 / MathF.Sqrt(SumOfSquares(x, dim) / dim + eps));
        int g = 0;
        for (; g + 32 <= dim; g += 32)
            Lanes.StoreBlock(to, type, dim, g / 32, Vector512.Load(x + g) * factor * Vector512.Load(w + g),
                Vector512.Load(x + g + 16) * factor * Vector512.Load(w + g + 16));
        if (g == Tile.Pad(dim)) return;
        for (int c = 0; c < 32; c++) tail[c] = g + c < dim ? x[g + c] * factor[0] * w[g + c] : 0;
        Lanes.StoreBlock(to, type, dim, g / 32, Vector512.Load(tail), Vector512.Load(tail + 16));
    }

    static float SumOfSquares(float* x, int dim)
    {
        Vector512<float> low = default, high = default;
        int c = 0;
        for (; c + 32 <= dim; c += 32)
        {
            var a = Vector512.Load(x + c);
            var b = Vector512.Load(x + c + 16);
            low = Vector512.FusedMultiplyAdd(a, a, low);
            high = Vector512.FusedMultiplyAdd(b, b, high);
        }
        float sum = Lanes.Sum(low + high);
        for (; c < dim; c++) sum += x[c] * x[c];
        return sum;
    }
}
