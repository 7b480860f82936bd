using Tessera.Shaders;

namespace Tessera.Runtime.Models;

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

    public void Clear() => (Count, WantedCount) = (0, 0);

    /// <summary>Adds a token.</summary>
    /// <param name="wanted">Its logits are computed, as the next row of the results.</param>
    /// <param name="rules">The set of rules that these logits follow; −1: none.</param>
    public void Add(int token, int sequence, int position, bool wanted, int rules = -1)
    {
        (Tokens[Count], Sequences[Count], Positions[Count]) = (token, sequence, position);
        if (wanted) (Wanted[WantedCount], RuleSets[WantedCount++]) = (Count, rules);
        Count++;
    }
}
