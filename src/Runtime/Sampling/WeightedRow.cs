using System.Numerics;
using System.Runtime.Intrinsics;

namespace Tessera.Runtime.Sampling;

/// <summary>
/// A whole row of logits as weights, in no order: the id at which the weights of the best ids together reach a mass is selected without sorting. Made once
/// and filled for each row.
/// </summary>
/// <remarks>
/// A weight is exp((logit − maximum) / temperature) in units of 1 / <see cref="One"/>, rounded down: sums of whole numbers do not depend on their order,
/// so that what is selected is what a sorted row would give. An id of less than one unit cannot be drawn. The order is that of candidates: larger logits first,
/// ties by lower id.
/// </remarks>
public sealed class WeightedRow
{
    readonly float[] logits;
    readonly ulong[] keys, weights;                      // ascending keys are the order; (ids that weigh something)
    int count;
    double largest, temperature;
    uint seed;

    /// <param name="ids">That can be drawn.</param>
    public WeightedRow(int ids)
    {
        (logits, keys, weights) = (new float[ids], new ulong[ids], new ulong[ids]);
        One = 1UL << Math.Min(52, 62 - BitOperations.Log2((uint)ids | 1) - 1); // all together stay below 2^62
    }

    /// <summary>The weight of the best id.</summary>
    public ulong One { get; }

    /// <summary>The weight of all.</summary>
    public ulong Total { get; private set; }

    /// <summary>Where the row is read to, before <see cref="Weigh"/>; (ids).</summary>
    public Span<float> Logits => logits;

    /// <summary>Weighs the logits.</summary>
    /// <param name="maximum">The largest of them.</param>
    public void Weigh(float maximum, double temperature)
    {
        (count, Total, largest, this.temperature) = (0, 0, maximum, temperature);
        Span<double> shares = stackalloc double[Vector512<double>.Count];
        for (int at = 0; at < logits.Length; at += shares.Length)
        {
            int n = Math.Min(shares.Length, logits.Length - at);
            for (int i = 0; i < n; i++) shares[i] = logits[at + i];
            Shares(Vector512.Create<double>(shares)).CopyTo(shares);
            for (int i = 0; i < n; i++)
            {
                ulong weight = Units(shares[i]);
                (keys[count], weights[count]) = (Key(logits[at + i], at + i), weight);
                if (weight == 0) continue;
                count++;
                Total += weight;
            }
        }
    }

    /// <summary>What the k best weigh together.</summary>
    public ulong WeightOfBest(int k)
    {
        if (k >= count) return Total;
        ulong before = 0;
        for (int first = 0, end = count; first < k;)
        {
            int at = Partition(first, end, out ulong ahead);
            if (at == k) return before + ahead;
            if (at > k) end = at;
            else (before, first) = (before + ahead + weights[at], at + 1);
        }
        return before;
    }

    /// <summary>What those weigh together that weigh at least so much.</summary>
    public ulong WeightFrom(ulong least)
    {
        ulong sum = 0;
        for (int i = 0; i < count; i++) sum += weights[i] >= least ? weights[i] : 0;
        return sum;
    }

    /// <summary>The id with which the best, one after the other, first weigh at least <paramref name="target"/> (1 to <see cref="Total"/>), and what they weigh
    /// then.</summary>
    public (int Id, ulong Weight) At(ulong target)
    {
        ulong before = 0;
        int first = 0, end = count;
        while (true)
        {
            int at = Partition(first, end, out ulong ahead);
            if (before + ahead >= target) end = at;
            else if (before + ahead + weights[at] >= target) return ((int)(uint)keys[at], before + ahead + weights[at]);
            else (before, first) = (before + ahead + weights[at], at + 1);
        }
    }

    /// <summary>What an id of this logit weighs.</summary>
    public ulong WeightOf(float logit) => Units(Shares(Vector512.Create((double)logit))[0]);

    /// <summary>A share of the best id's weight, in units.</summary>
    public ulong Units(double share) => (ulong)(share * One);

    Vector512<double> Shares(Vector512<double> logits) =>
        Vector512.Exp(Vector512.Max((logits - Vector512.Create(largest)) / Vector512.Create(temperature), Vector512.Create(-100.0)));

    /// <summary>Puts those before a pivot in front of it: where it lies then, and what they weigh. The pivot is a random one: no row is slow.</summary>
    int Partition(int first, int end, out ulong ahead)
    {
        seed = seed * 1664525 + 1013904223;
        int last = end - 1, pivot = first + (int)((ulong)seed * (ulong)(end - first) >> 32), at = first;
        Swap(pivot, last);
        ulong key = keys[last];
        ahead = 0;
        for (int i = first; i < last; i++)
        {
            if (keys[i] >= key) continue;
            ahead += weights[i];
            Swap(i, at++);
        }
        Swap(at, last);
        return at;
    }

    void Swap(int a, int b)
    {
        (keys[a], keys[b]) = (keys[b], keys[a]);
        (weights[a], weights[b]) = (weights[b], weights[a]);
    }

    /// <summary>Ascending as logits fall, then as ids rise; both zeros are one.</summary>
    static ulong Key(float logit, int id)
    {
        int bits = BitConverter.SingleToInt32Bits(logit + 0f);
        uint rising = bits < 0 ? ~(uint)bits : (uint)bits | 0x80000000;
        return (ulong)~rising << 32 | (uint)id;
    }
}
