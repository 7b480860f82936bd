namespace Tessera.Shaders;

public static unsafe partial class CandidatesOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        end = Math.Min(end, call.Count(Count, a.Rows));
        for (int row = begin; row < end; row++)
        {
            float* logits = call.At<float>(Logits) + (long)row * Tile.Pad(a.Vocabulary);
            Edit(call, row, logits);
            var values = new ReadOnlySpan<float>(logits, a.Vocabulary).ToArray();
            var order = Enumerable.Range(0, a.Vocabulary).Where(id => values[id] > float.NegativeInfinity).OrderByDescending(id => values[id]).ThenBy(id => id)
                .Take(Kept).ToArray();
            int* best = call.At<int>(Best) + row * 2 * Kept;
            for (int i = 0; i < Kept; i++)
            {
                best[2 * i] = i < order.Length ? order[i] : -1;
                best[2 * i + 1] = BitConverter.SingleToInt32Bits(i < order.Length ? values[order[i]] : float.NegativeInfinity);
            }
            double largest = values.Max(), sum = 0;
            foreach (float v in values) sum += Math.Exp(v - largest);
            float* stats = call.At<float>(Stats) + row * 2;
            (stats[0], stats[1]) = ((float)largest, (float)(largest + Math.Log(sum)));
        }
    }
}
