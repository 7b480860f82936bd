using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Ledger;

/// <summary>
/// A row of logits around an answer, as sampling reads it: the answer is the best, the ids behind it (and around, past the last) are each a quarter less, and
/// a request's masks, penalties and biases count.
/// </summary>
sealed unsafe class LedgerRow(int ids)
{
    const float Best = 8, Step = 0.25f, Nothing = -3e38f;
    const int NumbersOfRule = 3, NumbersOfEdit = 3, NumbersOfStats = 4;

    readonly (float Order, int Id)[] sorted = new (float, int)[ids];
    readonly float logSumExp = Best + (float)Math.Log((1 - Math.Exp(-(double)Step * ids)) / (1 - Math.Exp(-Step)));

    /// <summary>Writes what the step gives of a wanted row.</summary>
    /// <param name="bound">Where it goes, by name.</param>
    public void Write(int answer, int wanted, Dictionary<string, Tensor> bound)
    {
        Tensor logitRows = bound["logits:inout"], bestRows = bound["best:out"];
        int kept = bestRows.Cols / 2;
        float* logits = (float*)(logitRows.Address + (ulong)(wanted * Rows.Stride(DType.F32, logitRows.Cols)));
        int* best = (int*)bestRows.Address + wanted * bestRows.Cols;
        float* raw = (float*)bound["raw:out"].Address + wanted * kept, stats = (float*)bound["stats:out"].Address + wanted * NumbersOfStats;
        for (int i = 0, id = answer; i < ids; i++, id = id + 1 == ids ? 0 : id + 1) logits[id] = Best - Step * i;
        new Span<float>(logits + ids, logitRows.Cols - ids).Fill(Nothing);
        (stats[0], stats[1], stats[2], stats[3]) = (Best, logSumExp, Best, logSumExp);
        int* rule = bound["rules:in"].IsNone ? null : (int*)bound["rules:in"].Address + wanted * NumbersOfRule;
        bool ruled = rule is not null && rule[0] >= 0;
        if (ruled) Rule(logits, rule, bound, stats);
        for (int i = 0; i < kept; i++)
        {
            int id = i >= ids ? -1 : ruled ? sorted[i].Id : (answer + i) % ids;
            float logit = id < 0 ? Nothing : logits[id];
            if (logit <= Nothing) (id, logit) = (-1, Nothing);
            (best[2 * i], best[2 * i + 1]) = (id, BitConverter.SingleToInt32Bits(logit));
            raw[i] = id < 0 ? Nothing : Best - Step * ((id - answer + ids) % ids);
        }
    }

    /// <summary>Applies a set of rules, and puts the ids in order.</summary>
    void Rule(float* logits, int* rule, Dictionary<string, Tensor> bound, float* stats)
    {
        int* masks = (int*)bound["masks:in"].Address + (long)rule[0] * bound["masks:in"].Cols;
        int* edits = (int*)bound["edits:in"].Address + (long)rule[0] * bound["edits:in"].Cols;
        for (int id = 0; id < ids; id++) if (rule[2] != 0 && (masks[id / 32] >> id % 32 & 1) == 0) logits[id] = Nothing;
        for (int i = 0; i < rule[1]; i++)
        {
            int* edit = edits + NumbersOfEdit * i;
            ref float l = ref logits[edit[0]];
            float subtract = BitConverter.Int32BitsToSingle(edit[1]), divide = BitConverter.Int32BitsToSingle(edit[2]);
            if (l > Nothing) l = Math.Clamp((l > 0 ? l / divide : l * divide) - subtract, Nothing, -Nothing);
        }
        for (int id = 0; id < ids; id++) sorted[id] = (-logits[id], id);
        Array.Sort(sorted);
        double sum = 0;
        for (int id = 0; id < ids; id++) if (logits[id] > Nothing) sum += Math.Exp(logits[id] + sorted[0].Order);
        (stats[2], stats[3]) = sum > 0 ? (-sorted[0].Order, -sorted[0].Order + (float)Math.Log(sum)) : (Nothing, Nothing);
    }
}
