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
            float* x = call.At<float>(X) + (long)t * Tile.Pad(a.Dim);
            double squares = 0;
            for (int c = 0; c < a.Dim; c++) squares += (double)x[c] * x[c];
            double factor = 1 / Math.Sqrt(squares / a.Dim + a.Eps);
            for (int c = 0; c < a.Dim; c++) row[c] = (float)(x[c] * factor * call.At<float>(W)[c]);
            Elements.StoreRow(call.Tensors[Y], t, row);
        }
    }
}
