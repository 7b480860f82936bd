using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>What a step computes of its wanted rows, of all of them alike.</summary>
[Flags]
public enum RowResults
{
    None,

    /// <summary>By the head, and the best of them.</summary>
    Logits = 1,

    /// <summary>The residual stream behind the final norm, in F32.</summary>
    States = 2,
}

/// <summary>The rows of one step: tokens of one or many sequences, those of a sequence together and in order.</summary>
public sealed class Batch(BatchLimits limits)
{
    internal readonly int[] Tokens = new int[limits.Tokens], Positions = new int[limits.Tokens], Sequences = new int[limits.Tokens];

    internal readonly int[] Slots = new int[limits.Tokens], Wanted = new int[limits.Wanted];

    /// <summary>The set of <see cref="LogitRules"/> of each wanted row; −1: none.</summary>
    internal readonly int[] RuleSets = new int[limits.Wanted];

    /// <summary>What <see cref="CandidatesOp"/> reads of each wanted row.</summary>
    internal readonly int[] Rules = new int[limits.Wanted * CandidatesOp.RulesOfRow];

    public int Count { get; private set; }

    public int WantedCount { get; private set; }

    /// <summary>What the wanted rows are wanted for; what one of them needs is computed of all.</summary>
    internal RowResults Results { get; private set; }

    public void Clear() => (Count, WantedCount, Results) = (0, 0, RowResults.None);

    /// <summary>Adds a token.</summary>
    /// <param name="wanted">Its logits, or its state, are computed, as the next row of the results.</param>
    /// <param name="rules">The set of rules that these logits follow; −1: none.</param>
    /// <param name="state">It is the state that is wanted, and not the logits.</param>
    public void Add(int token, int sequence, int position, bool wanted, int rules = -1, bool state = false)
    {
        (Tokens[Count], Sequences[Count], Positions[Count]) = (token, sequence, position);
        if (wanted)
        {
            (Wanted[WantedCount], RuleSets[WantedCount++]) = (Count, rules);
            Results |= state ? RowResults.States : RowResults.Logits;
        }
        Count++;
    }
}
