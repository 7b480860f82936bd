namespace Tessera.Runtime.Models;

/// <summary>The angles of rotary position embedding, with YaRN's interpolation. Su et al. 2021; Peng et al. 2023, as transformers computes it.</summary>
public sealed class Rope
{
    readonly float[] inverseFrequencies; // (headDim / 2)
    readonly float[] angles;             // (positions, headDim), the rows that were asked for
    readonly bool[] computed;            // (positions)

    /// <param name="context">What the model was trained for, which YaRN stretches where it names no other.</param>
    /// <param name="positions">That are used: from 0 up to it.</param>
    public Rope(RopeConfig c, int headDim, int context, int positions)
    {
        // Not zeroed: what is not used yet takes no memory.
        (angles, computed) = (GC.AllocateUninitializedArray<float>(checked(positions * headDim)), new bool[positions]);
        inverseFrequencies = new float[headDim / 2];
        for (int i = 0; i < inverseFrequencies.Length; i++) inverseFrequencies[i] = (float)Math.Pow(c.Theta, -2.0 * i / headDim);
        if (c.Yarn is not { } yarn) return;
        AttentionFactor = (float)(yarn.AttentionFactor ?? (yarn.Factor <= 1 ? 1 : 0.1 * Math.Log(yarn.Factor) + 1));
        double original = yarn.Original ?? context;
        double Dimension(double turns) => headDim * Math.Log(original / (turns * 2 * Math.PI)) / (2 * Math.Log(c.Theta));
        double low = Math.Max(Math.Floor(Dimension(yarn.BetaFast)), 0), high = Math.Min(Math.Ceiling(Dimension(yarn.BetaSlow)), headDim - 1);
        if (low == high) high += 0.001;
        for (int i = 0; i < inverseFrequencies.Length; i++)
        {
            double ramp = Math.Clamp((i - low) / (high - low), 0, 1); // 0: kept as it is, 1: stretched by the factor
            inverseFrequencies[i] = (float)(Math.Pow(c.Theta, -2.0 * i / headDim) * (1 - ramp + ramp / yarn.Factor));
        }
    }

    public ReadOnlySpan<float> InverseFrequencies => inverseFrequencies;

    /// <summary>Multiplies cosines and sines, so that attention's logits scale by its square.</summary>
    public float AttentionFactor { get; } = 1;

    /// <summary>
    /// headDim/2 cosines, then headDim/2 sines, of a position's angles, computed once. The angle is rounded to F32 before, as the reference does.
    /// </summary>
    public ReadOnlySpan<float> Angles(int position)
    {
        int half = inverseFrequencies.Length;
        var row = angles.AsSpan(position * 2 * half, 2 * half);
        if (computed[position]) return row;
        for (int i = 0; i < half; i++)
        {
            (double sin, double cos) = Math.SinCos(position * inverseFrequencies[i]);
            row[i] = (float)cos * AttentionFactor;
            row[i + half] = (float)sin * AttentionFactor;
        }
        computed[position] = true;
        return row;
    }
}
