namespace Tessera.Shaders;

public static unsafe partial class RouterOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        var row = new float[a.Dim];
        var p = new double[a.Experts];
        end = Math.Min(end, call.Count(Count, a.Tokens));
        for (int t = begin; t < end; t++)
        {
            RmsNormOp.Normed(call.At<float>(X) + (long)t * Tile.Pad(a.Dim), call.At<float>(Norm), a.Eps, row);
            Elements.StoreRow(call.Tensors[Y], t, row);
            for (int e = 0; e < a.Experts; e++)
            {
                p[e] = 0;
                for (int c = 0; c < a.Dim; c++) p[e] += (double)row[c] * Elements.Weight(call.Tensors[W], e, c);
                call.At<float>(Logits)[(long)t * a.Experts + e] = (float)p[e];
            }
            double largest = p.Max(), total = p.Sum(l => Math.Exp(l - largest));
            int[] chosen = [.. Enumerable.Range(0, a.Experts).OrderByDescending(e => p[e]).ThenBy(e => e).Take(a.PerToken)];
            double divisor = a.Renormalise != 0 ? chosen.Sum(e => Math.Exp(p[e] - largest)) : total;
            for (int i = 0; i < a.PerToken; i++)
            {
                call.At<int>(Chosen)[t * a.PerToken + i] = chosen[i];
                call.At<float>(Shares)[t * a.PerToken + i] = (float)(Math.Exp(p[chosen[i]] - largest) / divisor);
            }
        }
    }
}
