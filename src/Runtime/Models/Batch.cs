using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>The rows of one step: tokens of one or many sequences, those of a sequence together and in order.</summary>
public sealed class Batch(BatchLimits limits)
{
    internal readonly int[] Tokens = new int[limits.Tokens], Positions = new int[limits.Tokens], Sequences = new int[limits.Tokens];

    internal readonly int[] Slots = new int[limits.Tokens], Wanted = new int[limits.Wanted];

    /// <summary>Penalties of each wanted row: (id, subtract, divide) as <see cref="CandidatesOp"/> takes them.</summary>
    internal readonly int[] Edits = new int[limits.Wanted * 3 * limits.Edits], EditCounts = new int[limits.Wanted];

    public int Count { get; private set; }

    public int WantedCount { get; private set; }

    internal bool HasEdits { get; private set; }

    public void Clear()
    {
        (Count, WantedCount, HasEdits) = (0, 0, false);
        Array.Clear(EditCounts);
    }

    /// <summary>Adds a token; <paramref name="wanted"/>: its logits are computed, as the next row of the results.</summary>
    public void Add(int token, int sequence, int position, bool wanted)
    {
        (Tokens[Count], Sequences[Count], Positions[Count]) = (token, sequence, position);
        if (wanted) Wanted[WantedCount++] = Count;
        Count++;
    }

    /// <summary>Adds a penalty to the last wanted row; past the limit it is dropped.</summary>
    public void Edit(int id, float subtract, float divide)
    {
        int row = WantedCount - 1;
        if (EditCounts[row] == limits.Edits) return;
        HasEdits = true;
        int at = (row * limits.Edits + EditCounts[row]++) * 3;
        (Edits[at], Edits[at + 1], Edits[at + 2]) = (id, BitConverter.SingleToInt32Bits(subtract), BitConverter.SingleToInt32Bits(divide));
    }
}
