using Tessera.Runtime.Models;

namespace Tessera.Bench;

/// <summary>Adds up how far the distributions of a model are from those of its base.</summary>
sealed class Divergence(int vocabulary, int positions)
{
    readonly float[] baseLogits = new float[vocabulary], logits = new float[vocabulary];
    readonly double[] divergences = new double[positions];
    double modelLoss, baseLoss;
    int count, next, same;

    /// <summary>A position: the wanted row <paramref name="row"/> of both, and the token that follows, where one does.</summary>
    /// <exception cref="TesseraException">A logit is not a number or infinite.</exception>
    public void Add(Runner against, Runner model, int row, int? following)
    {
        against.ReadLogits(row, baseLogits);
        model.ReadLogits(row, logits);
        var (baseBest, baseSum) = Normalise(baseLogits);
        var (best, sum) = Normalise(logits);
        if (!double.IsFinite(baseSum) || !double.IsFinite(sum))
            throw new TesseraException($"the logits of the {(double.IsFinite(baseSum) ? "model" : "base")} at position {count} are not finite: its weights are "
                + "broken; check the file with convert verify");
        double divergence = 0;
        for (int id = 0; id < vocabulary; id++)
        {
            double p = baseLogits[id] - baseSum, q = logits[id] - sum; // logarithms of probabilities
            divergence += Math.Exp(p) * (p - q);
        }
        divergences[count++] = divergence;
        if (best == baseBest) same++;
        if (following is not { } id1) return;
        next++;
        baseLoss += baseSum - baseLogits[id1];
        modelLoss += sum - logits[id1];
    }

    public double Mean => divergences.Sum() / count;

    public double Percentile99 => divergences.Order().ElementAt((int)(.99 * count));

    /// <summary>The share of positions at which both have the same best token, the lower id of equals.</summary>
    public double SameBest => (double)same / count;

    /// <summary>Null where no token follows another.</summary>
    public double? ModelPerplexity => next == 0 ? null : Math.Exp(modelLoss / next);

    public double? BasePerplexity => next == 0 ? null : Math.Exp(baseLoss / next);

    /// <summary>The best id and the log-sum-exp.</summary>
    static (int Best, double Sum) Normalise(float[] logits)
    {
        int best = 0;
        for (int id = 1; id < logits.Length; id++)
            if (logits[id] > logits[best]) best = id;
        double sum = 0;
        foreach (float logit in logits) sum += Math.Exp(logit - (double)logits[best]);
        return (best, logits[best] + Math.Log(sum));
    }
}
