namespace Tessera.Runtime.Sampling;

/// <summary>Logprobs as the model gives them: before masks, penalties, biases, temperature and cuts.</summary>
public static class Logprobs
{
    /// <summary>Of an id with this logit before rules.</summary>
    public static float Of(float raw, LogitStats stats) => (float)((double)raw - stats.RawLogSumExp);

    /// <summary>Of a drawn id; null where it is none of the candidates: then of its logit in the whole row.</summary>
    public static float? Of(int id, in RowCandidates row)
    {
        for (int i = 0; i < row.Count; i++)
            if (row.Id(i) == id) return Of(row.Raw(i), row.Stats);
        return null;
    }

    /// <summary>The most probable, best first, ties by lower id, as many as there is room and candidates for. Rules that push an id out of the 64 candidates
    /// take it out of these too.</summary>
    /// <returns>How many were written.</returns>
    public static int Best(in RowCandidates row, Span<TokenLogprob> best)
    {
        int count = 0;
        for (int i = 0; i < row.Count && best.Length > 0; i++)
        {
            var one = new TokenLogprob(row.Id(i), Of(row.Raw(i), row.Stats));
            int at = count;
            while (at > 0 && (one.Logprob > best[at - 1].Logprob || one.Logprob == best[at - 1].Logprob && one.Id < best[at - 1].Id)) at--;
            if (at == best.Length) continue;
            best[at..Math.Min(count, best.Length - 1)].CopyTo(best[(at + 1)..]);
            best[at] = one;
            count = Math.Min(count + 1, best.Length);
        }
        return count;
    }
}
