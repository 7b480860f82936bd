namespace Tessera.Shaders;

public static unsafe partial class MatMulOp
{
    static void Canonical(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        float* bias = call.At<float>(Bias);
        for (int t = 0; t < call.Count(Count, a.Tokens); t++)
            for (int n = begin * Tile.Rows; n < Math.Min(end * Tile.Rows, a.Outer); n++)
            {
                float* y = call.At<float>(Y) + (long)t * Tile.Pad(a.Outer) + n;
                float added = (a.Add != 0 ? *y : 0) + (bias == null ? 0 : bias[n]);
                *y = Panel.Canonical(call.Tensors[W], n, call.Tensors[X], t) + added;
            }
    }
}
