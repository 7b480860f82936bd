namespace Tessera.Shaders;

public static unsafe partial class MergeCandidatesOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        end = Math.Min(end, call.Count(Count, a.Rows));
        for (int row = begin; row < end; row++)
        {
            int* slices = call.At<int>(BestOfSlices) + (long)row * a.Slices * CandidatesOp.BestOfSlice;
            int sumCount = a.Slices * CandidatesOp.SumsOfSlice;
            float[] sums = new Span<float>(call.At<float>(Sums) + (long)row * sumCount, sumCount).ToArray();
            bool finite = !sums.Any(float.IsNaN);
            var all = from slice in Enumerable.Range(0, a.Slices)
                      from i in Enumerable.Range(0, Kept)
                      let at = slice * CandidatesOp.BestOfSlice + i
                      where finite && slices[at] >= 0
                      select (Id: slices[at], Logit: Float(slices[at + Kept]), Raw: Float(slices[at + 2 * Kept]));
            var order = all.OrderByDescending(c => c.Logit).ThenBy(c => c.Id).Take(Kept).ToArray();
            for (int i = 0; i < Kept; i++)
            {
                var one = i < order.Length ? order[i] : (Id: -1, Logit: CandidatesOp.Nothing, Raw: CandidatesOp.Nothing);
                int* best = call.At<int>(Best) + row * 2 * Kept + 2 * i;
                (best[0], best[1]) = (one.Id, BitConverter.SingleToInt32Bits(one.Logit));
                call.At<float>(Raw)[row * Kept + i] = one.Raw;
            }
            float* stats = call.At<float>(Stats) + row * StatsOfRow;
            (stats[0], stats[1]) = finite ? LogSumExp(sums, 0) : (float.NaN, float.NaN);
            (stats[2], stats[3]) = finite ? LogSumExp(sums, 2) : (float.NaN, float.NaN);
        }
    }

    static float Float(int bits) => BitConverter.Int32BitsToSingle(bits);

    /// <summary>Maximum and log-sum-exp of slices' maxima and sums, which lie at so many places behind each slice's first.</summary>
    static (float Largest, float LogSumExp) LogSumExp(float[] sums, int at)
    {
        double largest = CandidatesOp.Nothing, sum = 0;
        for (int i = at; i < sums.Length; i += CandidatesOp.SumsOfSlice) largest = Math.Max(largest, sums[i]);
        for (int i = at; i < sums.Length; i += CandidatesOp.SumsOfSlice) sum += sums[i + 1] * Math.Exp(sums[i] - largest);
        return ((float)largest, sum > 0 ? (float)(largest + Math.Log(sum)) : CandidatesOp.Nothing);
    }
}
