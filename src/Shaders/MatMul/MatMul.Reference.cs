namespace Tessera.Shaders;

public static unsafe partial class MatMulOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        Tensor w = call.Tensors[W], x = call.Tensors[X];
        int tokens = call.Count(Count, a.Tokens);
        for (int t = 0; t < tokens; t++)
            for (int n = begin * Tile.Rows; n < Math.Min(end * Tile.Rows, a.Outer); n++)
            {
                double sum = 0;
                for (int k = 0; k < a.Inner; k++)
                    sum += (double)Elements.Activation(x, t, k) * Elements.Weight(w, n, k);
                if (!call.Tensors[Bias].IsNone) sum += call.At<float>(Bias)[n];
                float* y = call.At<float>(Y) + (long)t * Tile.Pad(a.Outer) + n;
                *y = (float)(a.Add != 0 ? *y + sum : sum);
            }
    }
}
