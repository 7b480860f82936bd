using Tessera.Runtime.Models;
using Tessera.Shaders;

namespace Tessera.Runtime.Sampling;

/// <summary>Draws tokens: temperature, top-k, top-p, min-p, then one seeded draw. Penalties were applied on the device.</summary>
/// <remarks>
/// A sequence has its own, which holds the state of its draws. It takes 64 candidates; the whole row only where they may not hold all that can be drawn.
/// It neither sorts nor allocates.
/// </remarks>
public sealed class Sampler
{
    readonly SamplingOptions options;
    readonly Random random;
    readonly int k;                                      // ids that top-k leaves

    /// <param name="options">All set: see <see cref="SamplingOptions"/>.</param>
    /// <param name="vocabulary">Ids that can be drawn.</param>
    public Sampler(SamplingOptions options, int vocabulary)
    {
        options.Check();
        this.options = options;
        k = options.TopK is > 0 and int top ? Math.Min(top, vocabulary) : vocabulary;
        random = options.Seed is { } seed ? new Random(seed) : new Random();
    }

    public bool IsGreedy => options.Temperature == 0;

    /// <summary>The next token of a wanted row.</summary>
    /// <exception cref="TesseraException">A logit is not a number or infinite, or nothing can be drawn.</exception>
    public int Draw(Runner runner, int row)
    {
        var candidates = runner.Candidates(row);
        if (!float.IsFinite(candidates.Stats.LogSumExp))
            throw new TesseraException($"the logits behind token {runner.Batch.Positions[runner.Batch.Wanted[row]] + 1} are not finite on "
                + $"{runner.DeviceName}: weights or configuration are broken; check the file with convert verify");
        if (!NeedsRow(candidates)) return Draw(candidates);
        var weighted = runner.WholeRow;
        runner.ReadLogits(row, weighted.Logits);
        return Draw(candidates, weighted);
    }

    /// <summary>Whether ids that are no candidates may be drawn, or count.</summary>
    public bool NeedsRow(in RowCandidates row)
    {
        if (IsGreedy || k <= CandidatesOp.Kept || row.IsWhole) return false;
        // Without top-p nothing counts that min-p cuts off.
        return options.TopP < 1 || Weight(row, row.Count - 1) >= options.MinP!.Value;
    }

    /// <summary>Draws among candidates.</summary>
    /// <exception cref="TesseraException">Nothing can be drawn.</exception>
    public int Draw(in RowCandidates row)
    {
        int count = Math.Min(k, row.Count);
        if (count == 0) throw new TesseraException("no token can be drawn: the mask and the biases leave none");
        if (IsGreedy) return row.Id(0);
        Span<double> weights = stackalloc double[count];
        double total = 0;
        for (int i = 0; i < weights.Length; i++) total += weights[i] = Weight(row, i);
        int kept = 0;
        double mass = 0;
        while (kept < weights.Length && (kept == 0 || mass < options.TopP!.Value * total && weights[kept] >= options.MinP!.Value * weights[0]))
            mass += weights[kept++];
        double at = random.NextDouble() * mass;
        for (int i = 0; i < kept; i++)
            if ((at -= weights[i]) < 0) return row.Id(i);
        return row.Id(kept - 1);
    }

    /// <summary>Draws from a whole row.</summary>
    /// <param name="row">Its candidates: where they reach far enough, no id is searched for.</param>
    /// <param name="weighted">Its logits; what was made of another row is overwritten.</param>
    /// <exception cref="TesseraException">Nothing can be drawn.</exception>
    public int Draw(in RowCandidates row, WeightedRow weighted)
    {
        if (row.Count == 0) throw new TesseraException("no token can be drawn: the mask and the biases leave none");
        weighted.Weigh(row.Logit(0), options.Temperature!.Value);
        Span<ulong> sums = stackalloc ulong[row.Count];  // of the candidates' weights
        ulong sum = 0;
        for (int i = 0; i < sums.Length; i++) sums[i] = sum += weighted.WeightOf(row.Logit(i));
        ulong mass = weighted.WeightOfBest(k);
        ulong target = Math.Clamp((ulong)Math.Ceiling((double)options.TopP!.Value * mass), 1, mass);
        if (target < mass) mass = At(row, sums, weighted, target).Weight;
        if (options.MinP > 0) mass = Math.Min(mass, weighted.WeightFrom(weighted.Units(options.MinP.Value)));
        return At(row, sums, weighted, Math.Min((ulong)(random.NextDouble() * mass), mass - 1) + 1).Id;
    }

    static (int Id, ulong Weight) At(in RowCandidates row, ReadOnlySpan<ulong> sums, WeightedRow weighted, ulong target)
    {
        if (sums[^1] < target) return weighted.At(target);
        int at = 0;
        while (sums[at] < target) at++;
        return (row.Id(at), sums[at]);
    }

    /// <summary>Of a candidate, the best one's being 1.</summary>
    double Weight(in RowCandidates row, int index) => Math.Exp((row.Logit(index) - row.Logit(0)) / options.Temperature!.Value);
}
