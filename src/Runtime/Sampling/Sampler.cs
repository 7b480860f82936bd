using Tessera.Runtime.Models;
using Tessera.Shaders;

namespace Tessera.Runtime.Sampling;

/// <summary>Draws tokens: temperature, top-k, top-p, min-p, then one seeded draw. Penalties were applied on the device.</summary>
/// <remarks>It reads 64 candidates; the whole row only where they may not hold all that can be drawn. No allocation per token.</remarks>
public sealed class Sampler
{
    readonly SamplingOptions options;
    readonly Random random;
    readonly int[] best = new int[2 * CandidatesOp.Kept];
    readonly int vocabulary;
    (float Logit, int Id)[] row = [];
    float[] logits = [];

    /// <param name="options">All set: see <see cref="SamplingOptions"/>.</param>
    /// <param name="vocabulary">Ids that can be drawn.</param>
    public Sampler(SamplingOptions options, int vocabulary)
    {
        options.Check();
        (this.options, this.vocabulary) = (options, vocabulary);
        random = options.Seed is { } seed ? new Random(seed) : new Random();
    }

    public bool IsGreedy => options.Temperature == 0;

    /// <summary>The next token, from a row of the step's results.</summary>
    /// <exception cref="TesseraException">A logit is not a number or infinite.</exception>
    public int Draw(Runner runner, int from)
    {
        runner.ReadBest(from, best);
        if (!float.IsFinite(runner.ReadStats(from).LogSumExp)) throw NotFinite(runner, from);
        if (best[0] < 0) throw new TesseraException("no token can be drawn: the mask and the biases leave none");
        if (IsGreedy) return best[0];
        int k = options.TopK is > 0 and int top ? Math.Min(top, vocabulary) : vocabulary;
        if (k > CandidatesOp.Kept) return DrawFromRow(runner, from, k);
        Span<(float Logit, int Id)> candidates = stackalloc (float, int)[k];
        int count = 0;
        for (; count < k && best[2 * count] >= 0; count++) candidates[count] = (BitConverter.Int32BitsToSingle(best[2 * count + 1]), best[2 * count]);
        return Draw(candidates[..count]);
    }

    static TesseraException NotFinite(Runner runner, int row) =>
        new($"the logits behind token {runner.Batch.Positions[runner.Batch.Wanted[row]] + 1} are not finite on "
            + $"{runner.DeviceName}: weights or configuration are broken; check the file with convert verify");

    int DrawFromRow(Runner runner, int from, int k)
    {
        if (row.Length == 0) (row, logits) = (new (float, int)[vocabulary], new float[vocabulary]);
        runner.ReadLogits(from, logits);
        for (int id = 0; id < vocabulary; id++) row[id] = (-logits[id], id); // ascending order: most probable first, ties by lower id
        Array.Sort(row);
        for (int i = 0; i < k; i++) row[i].Logit = -row[i].Logit;
        return Draw(row.AsSpan(0, k));
    }

    /// <summary>Draws among candidates, most probable first.</summary>
    int Draw(Span<(float Logit, int Id)> candidates)
    {
        Span<double> weights = candidates.Length <= CandidatesOp.Kept ? stackalloc double[candidates.Length] : new double[candidates.Length];
        double total = 0;
        for (int i = 0; i < weights.Length; i++) total += weights[i] = Math.Exp((candidates[i].Logit - candidates[0].Logit) / options.Temperature!.Value);
        int kept = 0;
        double mass = 0;
        while (kept < weights.Length && (kept == 0 || mass < options.TopP!.Value * total && weights[kept] >= options.MinP!.Value * weights[0]))
            mass += weights[kept++];
        double at = random.NextDouble() * mass;
        for (int i = 0; i < kept; i++)
            if ((at -= weights[i]) < 0) return candidates[i].Id;
        return candidates[kept - 1].Id;
    }
}
