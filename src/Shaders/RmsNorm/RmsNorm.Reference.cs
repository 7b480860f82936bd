namespace Tessera.Shaders;

public static unsafe partial class RmsNormOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        var row = new float[a.Dim];
        end = Math.Min(end, call.Count(Count, a.Tokens));
        for (int t = begin; t < end; t++)
        {
            Normed(call.At<float>(X) + (long)t * Tile.Pad(a.Dim), call.At<float>(W), a.Eps, row);
            Elements.StoreRow(call.Tensors[Y], t, row);
        }
    }

    /// <summary>One row, as F32.</summary>
    internal static void Normed(float* x, float* w, float eps, float[] row)
    {
        double squares = 0;
        for (int c = 0; c < row.Length; c++) squares += (double)x[c] * x[c];
        double factor = 1 / Math.Sqrt(squares / row.Length + eps);
        for (int c = 0; c < row.Length; c++) row[c] = (float)(x[c] * factor * w[c]);
    }
}
