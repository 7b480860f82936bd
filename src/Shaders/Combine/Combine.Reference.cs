namespace Tessera.Shaders;

public static unsafe partial class CombineOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        end = Math.Min(end, call.Count(Count, a.Tokens));
        for (int t = begin; t < end; t++)
        {
            float* x = call.At<float>(X) + (long)t * Tile.Pad(a.Dim), shares = call.At<float>(Shares) + t * a.PerToken;
            for (int c = 0; c < a.Dim; c++)
            {
                double sum = x[c];
                for (int i = 0; i < a.PerToken; i++) sum += (double)shares[i] * call.At<float>(Z)[((long)t * a.PerToken + i) * Tile.Pad(a.Dim) + c];
                x[c] = (float)sum;
            }
        }
    }
}
