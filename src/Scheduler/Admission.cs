using Tessera.Shaders;

namespace Tessera.Scheduling;

/// <summary>Whether a request can be taken at all, and whether one that waits may begin.</summary>
static class Admission
{
    /// <summary>Tokens that one sequence can have: what its row of the table holds, and the pool where nobody else has a block.</summary>
    public static int Context(int blocksPerRow, int poolBlocks) => Math.Min(blocksPerRow, poolBlocks) * KvBlock.Tokens;

    /// <param name="isEmbedding">Nothing comes behind the prompt.</param>
    /// <exception cref="TesseraException">The prompt is empty, has an id that is none, or leaves no room for an answer.</exception>
    public static void Check(ReadOnlySpan<int> prompt, int vocabulary, int context, bool isEmbedding)
    {
        if (prompt.Length == 0) throw new TesseraException("the prompt is empty: expected at least one token");
        if (prompt.Length > (isEmbedding ? context : context - 1))
            throw new ContextFullException($"the prompt has {prompt.Length} tokens, the context holds {context}{(isEmbedding ? "" : " with the answer")}; "
                + "shorten it or load with a larger context");
        foreach (int id in prompt)
            if ((uint)id >= (uint)vocabulary) throw new TesseraException($"token {id}: expected 0 to {vocabulary - 1}");
    }

    /// <summary>
    /// Whether there are blocks for all known tokens of a sequence, and one for each that runs, so that nobody is let in to be put out again at once. Alone it
    /// always has room.
    /// </summary>
    /// <param name="prefix">The blocks of others that it would share.</param>
    public static bool HasRoom(State state, Sequence sequence, ReadOnlySpan<int> prefix)
    {
        if (state.Running.Count == 0) return true;
        int needed = Sequence.BlocksFor(sequence.Count) - prefix.Length;
        foreach (int block in prefix)
            if (state.Pool.References(block) == 0) needed++; // it leaves the queue too
        return needed + state.Running.Count <= state.Pool.Available;
    }
}
