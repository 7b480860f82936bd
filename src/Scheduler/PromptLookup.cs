namespace Tessera.Scheduling;

/// <summary>
/// Where the last ids of one sequence stood in it before, and how often what followed them there followed again. What has been seen is indexed once, by pairs
/// of ids that are chained backwards; nothing is searched from end to end.
/// </summary>
/// <param name="limit">Tokens of the sequence at most.</param>
sealed class PromptLookup(int limit)
{
    const int MinMatch = 2, MaxMatch = 8, MaxTries = 12;
    const double Memory = 7 / 8.0, Patience = 512;

    readonly int[] last = new int[(int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)limit)]; // by hash of a pair: where it ended last; 0: nowhere
    readonly int[] before = new int[limit];                  // of the end of a pair: the end before it with that hash
    readonly double[] likelihoods = [0.3, 0.5, 0.7, 0.9];    // of one more token behind 2, 3, 4 to 7, and more ids that are the same
    int indexed = 1;                                         // ends below this

    /// <summary>The place behind the longest match of the last ids, the most recent of those; 0 ids: there is none.</summary>
    public (int Position, int Matched) Find(ReadOnlySpan<int> tokens)
    {
        int end = tokens.Length - 1, longest = MinMatch - 1, position = 0;
        if (end < MinMatch) return default;
        for (; indexed < end; indexed++)                     // the last pair has nothing behind it yet
        {
            ref int head = ref last[Hash(tokens, indexed)];
            (before[indexed], head) = (head, indexed);
        }
        int tries = MaxTries;
        for (int at = last[Hash(tokens, end)]; at > 0 && longest < MaxMatch && tries > 0; at = before[at], tries--)
        {
            int matched = 0;
            while (matched < MaxMatch && matched <= at && tokens[at - matched] == tokens[end - matched]) matched++;
            if (matched > longest) (longest, position) = (matched, at + 1);
        }
        return position > 0 ? (position, longest) : default;
    }

    /// <summary>How likely the next token is the one that followed a match of so many ids.</summary>
    public double Likelihood(int matched) => likelihoods[Kind(matched)];

    /// <summary>What followed a match of so many ids once more, or did not.</summary>
    public void Learn(int matched, bool followed)
    {
        ref double likelihood = ref likelihoods[Kind(matched)];
        likelihood = likelihood * Memory + (followed ? 1 - Memory : 0);
    }

    /// <summary>A match of so many ids was not tried: as others change, so may this, and rarely it is worth a try.</summary>
    public void Pass(int matched)
    {
        ref double likelihood = ref likelihoods[Kind(matched)];
        likelihood += (1 - likelihood) / Patience;
    }

    static int Kind(int matched) => matched >= 8 ? 3 : matched >= 4 ? 2 : matched - MinMatch;

    /// <summary>Of the pair that ends at a place.</summary>
    int Hash(ReadOnlySpan<int> tokens, int end) =>
        (int)(((uint)tokens[end - 1] * 0x9E3779B1 + (uint)tokens[end]) * 0x85EBCA77 >> 7) & last.Length - 1;
}
