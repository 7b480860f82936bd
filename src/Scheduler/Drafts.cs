using Tessera.Shaders;

namespace Tessera.Scheduling;

/// <summary>
/// Guesses behind the one known token of a sequence that decodes, computed and drawn in the same step: as many as make the tokens expected of a
/// millisecond the most, none where that is none. Where a step is bound by what it computes, a row more costs what it can bring at best.
/// </summary>
static class Drafts
{
    /// <summary>Tokens of a draft at most: with the known one, they are the rows of a panel.</summary>
    public const int MaxTokens = KvBlock.Tokens - 1;

    /// <summary>Adds drafts to a step that is planned, of what it leaves of its budget.</summary>
    /// <param name="wanted">Rows of logits that a step gives at most.</param>
    public static void Add(State state, Budget budget, StepCost cost, Plan plan, int wanted)
    {
        int drawn = 0;
        foreach (var (sequence, count) in plan.Entries) if (count == sequence.Pending) drawn++;
        double expected = drawn, milliseconds = plan.Entries.Length > 1 ? budget.Milliseconds : double.PositiveInfinity;
        for (int i = 0; i < plan.Entries.Length && drawn < wanted; i++)
        {
            var (sequence, count) = plan.Entries[i];
            if (count != 1 || sequence.Pending != 1 || !sequence.IsDraftable) continue;
            int owned = sequence.Blocks.Length * KvBlock.Tokens - sequence.Count;
            int free = state.Pool.Available > state.Running.Count ? KvBlock.Tokens : 0;   // one stays for each that runs
            int room = Math.Min(Math.Min(owned + free, MaxTokens), Math.Min(budget.Tokens - plan.Tokens, wanted - drawn));
            room = Math.Min(room, sequence.Limit - sequence.Count);
            if (room <= 0 || !Pays(expected + room, expected, cost, plan, sequence, room)) continue;
            var (position, matched) = sequence.Lookup.Find(sequence.Tokens);
            if (matched == 0) continue;
            var (length, gain) = Best(expected, milliseconds, cost, plan, sequence, matched, room);
            if (length == 0) sequence.Lookup.Pass(matched);
            else
            {
                if (length > owned) sequence.AddBlock(state.Pool.Take());
                sequence.Draft(position, matched, length);
                plan.Extend(i, length);
                expected += gain;
                drawn += length;
            }
        }
    }

    /// <summary>Whether so many tokens are more of a millisecond with a draft than those expected without.</summary>
    static bool Pays(double tokens, double without, StepCost cost, Plan plan, Sequence sequence, int length) =>
        tokens * cost.Estimate(plan.Tokens, plan.Context) > without * Estimate(cost, plan, sequence, length);

    static double Estimate(StepCost cost, Plan plan, Sequence sequence, int length) =>
        cost.Estimate(plan.Tokens + length, plan.Context + StepCost.Seen(sequence.Count, length));

    /// <summary>The length that is worth the most, and the tokens that are expected of it. Not the first that is worth nothing ends the search: the second row
    /// of a step can cost more than those behind it.</summary>
    static (int Length, double Gain) Best(double expected, double milliseconds, StepCost cost, Plan plan, Sequence sequence, int matched, int room)
    {
        double rate = expected / cost.Estimate(plan.Tokens, plan.Context), likelihood = 1, sum = 0;
        (int, double) best = default;
        for (int length = 1; length <= room; length++)
        {
            likelihood *= sequence.Lookup.Likelihood(matched + length - 1);
            sum += likelihood;
            double estimate = Estimate(cost, plan, sequence, length);
            if (estimate > milliseconds) break;
            if ((expected + sum) / estimate > rate) (rate, best) = ((expected + sum) / estimate, (length, sum));
        }
        return best;
    }
}
