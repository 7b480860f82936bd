using System.Runtime.Intrinsics;

namespace Tessera.Shaders;

public static unsafe partial class MatMulOp
{
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        Tensor w = call.Tensors[W], x = call.Tensors[X];
        float* y = call.At<float>(Y), bias = call.At<float>(Bias);
        int tokens = call.Count(Count, a.Tokens), stride = Tile.Pad(a.Outer);
        float* sums = stackalloc float[Tile.Tokens * Tile.Rows]; // (tokens, 16)
        for (int panel = begin; panel < end; panel++)
        {
            int row = panel * Tile.Rows, rows = Math.Min(Tile.Rows, a.Outer - row);
            for (int t = 0; t < tokens; t += Tile.Tokens)
            {
                int count = Math.Min(Tile.Tokens, tokens - t);
                Panel.Product(w, panel, x, t, count, sums);
                for (int i = 0; i < count; i++)
                    Store(y + (long)(t + i) * stride + row, sums + i * Tile.Rows, bias == null ? null : bias + row, rows, a.Add != 0);
            }
        }
    }

    static void Store(float* y, float* sums, float* bias, int rows, bool add)
    {
        if (rows < Tile.Rows)
        {
            for (int r = 0; r < rows; r++) y[r] = sums[r] + ((add ? y[r] : 0) + (bias == null ? 0 : bias[r]));
            return;
        }
        var added = add ? Vector512.Load(y) : default;
        if (bias != null) added += Vector512.Load(bias);
        (Vector512.Load(sums) + added).Store(y);
    }
}
