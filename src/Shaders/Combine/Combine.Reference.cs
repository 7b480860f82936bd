namespace Tessera.Shaders;

public static unsafe partial class CombineOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        end = Math.Min(end, call.Count(Count, a.Tokens));
        for (int t = begin; t < end; t++)
            for (int c = 0; c < a.Dim; c++)
            {
                double sum = call.At<float>(X)[(long)t * Tile.Pad(a.Dim) + c];
                for (int i = 0; i < a.Active; i++) sum += (double)call.At<float>(Weights)[t * a.Active + i] * call.At<float>(Z)[((long)t * a.Active + i) * Tile.Pad(a.Dim) + c];
                call.At<float>(X)[(long)t * Tile.Pad(a.Dim) + c] = (float)sum;
            }
    }
}
