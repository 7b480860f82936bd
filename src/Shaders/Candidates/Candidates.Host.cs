using System.Runtime.Intrinsics;

namespace Tessera.Shaders;

public static unsafe partial class CandidatesOp
{
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        end = Math.Min(end, call.Count(Count, a.Rows));
        for (int row = begin; row < end; row++)
        {
            float* logits = call.At<float>(Logits) + (long)row * Tile.Pad(a.Vocabulary);
            Edit(call, row, logits);
            int* best = call.At<int>(Best) + row * 2 * Kept;
            int found = 0, c = 0;
            var floor = Vector512.Create(float.NegativeInfinity); // nothing at or below it can enter any more
            for (; c + 16 <= a.Vocabulary; c += 16)
            {
                ulong hits = Vector512.GreaterThan(Vector512.Load(logits + c), floor).ExtractMostSignificantBits();
                for (; hits != 0; hits &= hits - 1)
                {
                    int id = c + System.Numerics.BitOperations.TrailingZeroCount(hits);
                    Insert(best, ref found, id, logits[id]);
                }
                if (found == Kept) floor = Vector512.Create(BitConverter.Int32BitsToSingle(best[2 * Kept - 1]));
            }
            for (; c < a.Vocabulary; c++) Insert(best, ref found, c, logits[c]);
            for (int i = found; i < Kept; i++) (best[2 * i], best[2 * i + 1]) = (-1, BitConverter.SingleToInt32Bits(float.NegativeInfinity));
            float* stats = call.At<float>(Stats) + row * 2;
            stats[0] = BitConverter.Int32BitsToSingle(best[1]);
            stats[1] = stats[0] + MathF.Log(SumExp(logits, a.Vocabulary, stats[0]));
        }
    }

    /// <summary>Keeps the list sorted, largest first; ids come in ascending order, so an equal logit goes behind.</summary>
    static void Insert(int* best, ref int found, int id, float logit)
    {
        if (!(logit > float.NegativeInfinity) || found == Kept && !(logit > BitConverter.Int32BitsToSingle(best[2 * Kept - 1]))) return;
        int at = found < Kept ? found++ : Kept - 1;
        for (; at > 0 && logit > BitConverter.Int32BitsToSingle(best[2 * at - 1]); at--)
            (best[2 * at], best[2 * at + 1]) = (best[2 * at - 2], best[2 * at - 1]);
        (best[2 * at], best[2 * at + 1]) = (id, BitConverter.SingleToInt32Bits(logit));
    }

    static float SumExp(float* logits, int vocabulary, float largest)
    {
        var shift = Vector512.Create(largest);
        Vector512<float> sum = default;
        int c = 0;
        for (; c + 16 <= vocabulary; c += 16) sum += Lanes.Exp(Vector512.Load(logits + c) - shift);
        float rest = 0;
        for (; c < vocabulary; c++) rest += MathF.Exp(logits[c] - largest);
        return Vector512.Sum(sum) + rest;
    }
}
