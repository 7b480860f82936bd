using Tessera.Shaders;

namespace Tessera.Scheduling;

/// <summary>What a step may take.</summary>
/// <param name="Tokens">Rows at most.</param>
/// <param name="Milliseconds">An estimate at most, while somebody decodes.</param>
readonly record struct Budget(int Tokens, double Milliseconds);

/// <summary>What a step computes: so many tokens of each sequence.</summary>
/// <param name="rows">Sequences at most.</param>
/// <param name="blocksPerRow">Blocks of one at most.</param>
sealed class Plan(int rows, int blocksPerRow)
{
    readonly int[] prefix = new int[blocksPerRow];
    readonly (Sequence Sequence, int Count)[] entries = new (Sequence, int)[rows];
    int count;

    public ReadOnlySpan<(Sequence Sequence, int Count)> Entries => entries.AsSpan(0, count);

    /// <summary>Room for the blocks that a sequence finds.</summary>
    public Span<int> Prefix => prefix;

    public int Tokens { get; private set; }

    /// <summary>Tokens that the step's rows see, added up.</summary>
    public long Context { get; private set; }

    public int Preempted { get; internal set; }

    public void Clear() => (count, Tokens, Context, Preempted) = (0, 0, 0, 0);

    public void Add(Sequence sequence, int tokens)
    {
        entries[count++] = (sequence, tokens);
        Tokens += tokens;
        Context += StepCost.Seen(sequence.Computed, tokens);
    }

    /// <summary>So many tokens more of an entry.</summary>
    public void Extend(int entry, int tokens)
    {
        ref var at = ref entries[entry];
        Context += StepCost.Seen(at.Sequence.Computed + at.Count, tokens);
        at.Count += tokens;
        Tokens += tokens;
    }
}

/// <summary>What the next step computes: who runs first, then who waits.</summary>
static class Planner
{
    /// <summary>Tokens of prompts that a step takes whatever the estimate says, so that no prompt waits for ever behind those who decode.</summary>
    public const int MinChunk = KvBlock.Tokens;

    public static void Plan(State state, Budget budget, StepCost cost, Plan plan)
    {
        plan.Clear();
        for (int i = 0; i < state.Running.Count; i++) plan.Preempted += Grow(state, state.Running[i]);
        foreach (var sequence in state.Running)
            if (sequence.Pending == 1) plan.Add(sequence, 1);
        int decoding = plan.Tokens;
        foreach (var sequence in state.Running)
        {
            if (sequence.Pending == 1) continue;
            int count = Chunk(sequence.Computed, sequence.Pending, decoding, budget, cost, plan);
            if (count > 0) plan.Add(sequence, count);
        }
        if (plan.Preempted == 0) Admit(state, budget, decoding, cost, plan);
    }

    /// <summary>Gives a sequence the blocks of its known tokens; where there are none, the last in order is preempted, at the end itself.</summary>
    /// <returns>How many were preempted.</returns>
    static int Grow(State state, Sequence sequence)
    {
        int preempted = 0;
        while (sequence.Row >= 0 && sequence.Lacking > 0)
            if (state.Pool.Take() is >= 0 and int block) sequence.AddBlock(block);
            else
            {
                state.Preempt();
                preempted++;
            }
        return preempted;
    }

    /// <summary>Lets in who waits, in order: nobody passes one that finds no room.</summary>
    static void Admit(State state, Budget budget, int decoding, StepCost cost, Plan plan)
    {
        for (int i = 0; i < state.Waiting.Count && state.FreeRows > 0;)
        {
            var sequence = state.Waiting[i];
            if (sequence.Follows)
            {
                i++;
                continue;
            }
            var found = plan.Prefix;
            int shared = sequence.FindPrefix(state.Pool, found);
            int count = Chunk(shared * KvBlock.Tokens, sequence.Count - shared * KvBlock.Tokens, decoding, budget, cost, plan);
            if (count == 0 || !Admission.HasRoom(state, sequence, found[..shared])) return;
            state.Start(sequence, found[..shared]);
            plan.Add(sequence, count);
        }
    }

    /// <summary>Tokens of a sequence that fit beside what the step has already.</summary>
    static int Chunk(int position, int pending, int decoding, Budget budget, StepCost cost, Plan plan)
    {
        int room = Math.Min(pending, budget.Tokens - plan.Tokens);
        if (decoding == 0) return room;
        int least = Math.Min(room, Math.Max(0, MinChunk - (plan.Tokens - decoding)));
        return Math.Max(least, cost.Fitting(budget.Milliseconds, plan.Tokens, plan.Context, position, room));
    }
}
