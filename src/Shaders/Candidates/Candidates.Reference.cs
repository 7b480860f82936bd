namespace Tessera.Shaders;

public static unsafe partial class CandidatesOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        int slices = Slices(a.Vocabulary);
        end = Math.Min(end, call.Count(Count, a.Rows) * slices);
        for (int unit = begin; unit < end; unit++)
        {
            int row = unit / slices, first = unit % slices * SliceIds;
            var logits = new Span<float>(call.At<float>(Logits) + (long)row * Tile.Pad(a.Vocabulary) + first, Math.Min(SliceIds, a.Vocabulary - first));
            var best = new Span<int>(call.At<int>(Best) + (long)unit * BestOfSlice, BestOfSlice);
            var sums = new Span<float>(call.At<float>(Sums) + (long)unit * SumsOfSlice, SumsOfSlice);
            float[] raw = logits.ToArray();
            Empty(best);
            if (!raw.All(float.IsFinite))
            {
                sums.Fill(float.NaN);
                continue;
            }
            var (set, editCount, masked) = RulesOf(call, row);
            for (int i = 0; i < logits.Length; i++)
                if (first + i >= a.Real || masked && !Allowed(call, set, first + i)) logits[i] = Nothing;
            if (set >= 0) Edit(call, set, editCount, first, logits);
            float[] values = logits.ToArray();
            var chosen = Enumerable.Range(0, values.Length).Where(i => values[i] > Nothing).OrderByDescending(i => values[i]).ThenBy(i => i).Take(Kept).Order();
            int at = 0;
            foreach (int i in chosen)
            {
                best[at] = first + i;
                best[Kept + at] = BitConverter.SingleToInt32Bits(values[i]);
                best[2 * Kept + at++] = BitConverter.SingleToInt32Bits(raw[i]);
            }
            (sums[0], sums[1]) = SumExp(raw);
            (sums[2], sums[3]) = SumExp([.. values.Where(v => v > Nothing)]);
        }
    }

    static bool Allowed(Call call, int set, int id) =>
        (call.At<int>(Masks)[(long)set * MaskWords(call.Args<Args>().Vocabulary) + id / 32] >> (id % 32) & 1) != 0;

    static (float Largest, float Sum) SumExp(float[] values) =>
        values.Length == 0 ? (Nothing, 0) : (values.Max(), (float)values.Sum(v => Math.Exp(v - (double)values.Max())));
}
