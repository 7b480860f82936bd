using System.IO.Hashing;
using System.Runtime.InteropServices;
using Tessera.Shaders;

namespace Tessera.Runtime.Sampling;

/// <summary>What a step says of a wanted row in a few bytes: its 64 best ids, most probable first, ties by lower id, and what all its logits sum to.</summary>
/// <param name="best">(64, 2): id and logit bits after rules; id −1 where there are fewer.</param>
/// <param name="raw">(64): the same ids' logits as the model gives them.</param>
public readonly ref struct RowCandidates(ReadOnlySpan<int> best, ReadOnlySpan<float> raw, LogitStats stats)
{
    readonly ReadOnlySpan<int> best = best;
    readonly ReadOnlySpan<float> raw = raw;

    /// <summary>Maxima and log-sum-exps of the row, before rules and after.</summary>
    public LogitStats Stats { get; } = stats;

    /// <summary>Ids that there are.</summary>
    public int Count { get; } = Counted(best);

    /// <summary>Whether there are no others that can be drawn.</summary>
    public bool IsWhole => Count < CandidatesOp.Kept;

    public int Id(int index) => best[2 * index];

    /// <summary>After rules.</summary>
    public float Logit(int index) => BitConverter.Int32BitsToSingle(best[2 * index + 1]);

    /// <summary>As the model gives it.</summary>
    public float Raw(int index) => raw[index];

    /// <summary>Of all of it, and of the rows before it: compares answers on one device. Never 0.</summary>
    public uint Hash(uint before)
    {
        var stats = Stats;
        ulong ofStats = XxHash3.HashToUInt64(MemoryMarshal.AsBytes(new ReadOnlySpan<LogitStats>(in stats)), before);
        return Math.Max((uint)XxHash3.HashToUInt64(MemoryMarshal.AsBytes(best), (long)ofStats), 1);
    }

    static int Counted(ReadOnlySpan<int> best)
    {
        int low = 0, high = best.Length / 2;             // those that there are come first
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (best[2 * middle] >= 0) low = middle + 1;
            else high = middle;
        }
        return low;
    }
}

/// <summary>A row of logits in four numbers: its maximum and log-sum-exp as the model gives it, which logprobs are made of, and after its rules.</summary>
public readonly record struct LogitStats(float RawMaximum, float RawLogSumExp, float Maximum, float LogSumExp);
