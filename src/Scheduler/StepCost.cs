namespace Tessera.Scheduling;

/// <summary>
/// The milliseconds of a step, learned from those that were measured: a + b · tokens + c · context, and d where it has more rows than one, which devices
/// compute in a way of its own. Least squares in which a step counts half as much as one some fifty steps later. No part of it is below 0.
/// </summary>
sealed class StepCost
{
    const int Terms = 4, Sweeps = 40;
    const double Memory = 0.985, TokenUnit = 64, ContextUnit = 65536;   // units bring the terms to the same size

    readonly double[] products = new double[Terms * Terms], sums = new double[Terms], parts = new double[Terms];

    /// <summary>Steps that were measured.</summary>
    public int Measured { get; private set; }

    /// <param name="tokens">Rows of the step.</param>
    /// <param name="context">Tokens that its rows see, added up.</param>
    public double Estimate(int tokens, long context) =>
        parts[0] + parts[1] * (tokens / TokenUnit) + parts[2] * (context / ContextUnit) + (tokens > 1 ? parts[3] : 0);

    public void Add(int tokens, long context, double milliseconds)
    {
        Span<double> x = [1, tokens / TokenUnit, context / ContextUnit, tokens > 1 ? 1 : 0];
        for (int i = 0; i < Terms; i++)
        {
            sums[i] = sums[i] * Memory + x[i] * milliseconds;
            for (int j = 0; j < Terms; j++) products[i * Terms + j] = products[i * Terms + j] * Memory + x[i] * x[j];
        }
        Measured++;
        // Each part in turn takes what the others leave, never below 0: non-negative least squares by coordinates.
        for (int sweep = 0; sweep < Sweeps; sweep++)
            for (int i = 0; i < Terms; i++)
            {
                double rest = sums[i];
                for (int j = 0; j < Terms; j++) if (j != i) rest -= products[i * Terms + j] * parts[j];
                parts[i] = products[i * Terms + i] > 0 ? Math.Max(0, rest / products[i * Terms + i]) : 0;
            }
    }

    /// <summary>The most tokens of one sequence, up to <paramref name="limit"/>, that a step takes within so many milliseconds.</summary>
    /// <param name="tokens">Rows that the step has already, and <paramref name="context"/> what they see.</param>
    /// <param name="position">Where the sequence goes on.</param>
    public int Fitting(double milliseconds, int tokens, long context, int position, int limit)
    {
        int low = 0, high = limit;
        while (low < high)
        {
            int middle = low + (high - low + 1) / 2;
            if (Estimate(tokens + middle, context + Seen(position, middle)) <= milliseconds) low = middle;
            else high = middle - 1;
        }
        return low;
    }

    /// <summary>What so many tokens from a position on see, added up.</summary>
    public static long Seen(int position, int count) => (long)count * position + (long)count * (count + 1) / 2;
}
