using System.Numerics;
using System.Runtime.Intrinsics;

namespace Tessera.Shaders;

public static unsafe partial class MergeCandidatesOp
{
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        end = Math.Min(end, call.Count(Count, a.Rows));
        int* kept = stackalloc int[Kept]; // where the best lie, the best first
        float* logits = stackalloc float[Kept];
        for (int row = begin; row < end; row++)
        {
            int* slices = call.At<int>(BestOfSlices) + (long)row * a.Slices * CandidatesOp.BestOfSlice;
            float* sums = call.At<float>(Sums) + (long)row * a.Slices * CandidatesOp.SumsOfSlice, stats = call.At<float>(Stats) + row * StatsOfRow;
            (stats[0], stats[1]) = LogSumExp(sums, a.Slices);
            (stats[2], stats[3]) = LogSumExp(sums + 2, a.Slices);
            int found = float.IsNaN(stats[0]) ? 0 : Choose(slices, a.Slices, kept, logits), i = 0;
            int* best = call.At<int>(Best) + row * 2 * Kept;
            float* raw = call.At<float>(Raw) + row * Kept;
            for (; i < found; i++)
                (best[2 * i], best[2 * i + 1], raw[i]) = (slices[kept[i]], slices[kept[i] + Kept], BitConverter.Int32BitsToSingle(slices[kept[i] + 2 * Kept]));
            for (; i < Kept; i++) (best[2 * i], best[2 * i + 1], raw[i]) = (-1, BitConverter.SingleToInt32Bits(CandidatesOp.Nothing), CandidatesOp.Nothing);
        }
    }

    /// <summary>Maximum and log-sum-exp; NaN where a slice has logits that are not finite.</summary>
    static (float Largest, float LogSumExp) LogSumExp(float* sums, int slices)
    {
        float largest = CandidatesOp.Nothing;
        double sum = 0;
        for (int i = 0; i < slices; i++) largest = Math.Max(largest, sums[i * CandidatesOp.SumsOfSlice]); // NaN stays
        for (int i = 0; i < slices; i++) sum += sums[i * CandidatesOp.SumsOfSlice + 1] * Math.Exp(sums[i * CandidatesOp.SumsOfSlice] - (double)largest);
        return (largest, float.IsNaN(largest) ? float.NaN : sum > 0 ? (float)(largest + Math.Log(sum)) : CandidatesOp.Nothing);
    }

    /// <summary>Finds the best; ids come in ascending order, so an equal logit goes behind.</summary>
    static int Choose(int* slices, int count, int* kept, float* logits)
    {
        int found = 0;
        var floor = Vector512.Create(CandidatesOp.Nothing); // nothing at or below it can enter any more
        for (int slice = 0; slice < count; slice++)
            for (int i = 0; i < Kept; i += 16)
            {
                int first = slice * CandidatesOp.BestOfSlice + i;
                ulong hits = Vector512.GreaterThan(Vector512.Load((float*)slices + first + Kept), floor).ExtractMostSignificantBits();
                for (; hits != 0; hits &= hits - 1)
                {
                    int at = first + BitOperations.TrailingZeroCount(hits);
                    Insert(kept, logits, ref found, at, ((float*)slices)[at + Kept]);
                }
                if (found == Kept) floor = Vector512.Create(logits[Kept - 1]);
            }
        return found;
    }

    static void Insert(int* kept, float* logits, ref int found, int at, float logit)
    {
        if (found == Kept && logit <= logits[Kept - 1]) return;
        int last = found < Kept ? found++ : Kept - 1, rank = last;
        while (rank > 0 && logit > logits[rank - 1]) rank--;
        new Span<int>(kept + rank, last - rank).CopyTo(new Span<int>(kept + rank + 1, last - rank));
        new Span<float>(logits + rank, last - rank).CopyTo(new Span<float>(logits + rank + 1, last - rank));
        (kept[rank], logits[rank]) = (at, logit);
    }
}
