using CsCheck;
using Xunit;

namespace Tessera.Scheduling.Tests;

public class PromptLookupTests
{
    static (int, int) Find(params int[] tokens) => new PromptLookup(64).Find(tokens);

    [Fact]
    public void The_longest_match_wins_and_of_equal_ones_the_most_recent()
    {
        Assert.Equal((0, 0), Find(1));
        Assert.Equal((0, 0), Find(1, 2, 3, 4));
        Assert.Equal((0, 0), Find(1, 2, 9, 2));                    // one id is no match
        Assert.Equal((2, 2), Find(1, 2, 3, 1, 2));
        Assert.Equal((6, 2), Find(1, 2, 3, 5, 1, 2, 4, 1, 2));
        Assert.Equal((3, 3), Find(9, 1, 2, 3, 7, 1, 2, 4, 9, 1, 2)); // older, and longer
        Assert.Equal((4, 4), Find(5, 5, 5, 5, 5));                 // a run goes on
    }

    /// <summary>Against a search from end to end; few ids, so that pairs have many places, of which the index looks at the last ones.</summary>
    [Fact]
    public void The_index_finds_what_a_search_finds() =>
        Gen.Select(Gen.Int[6, 40], Gen.Int[1, 9]).SelectMany((ids, chunk) => Gen.Int[0, ids].Array[2, 60].Select(tokens => (tokens, chunk))).Sample(t =>
        {
            var lookup = new PromptLookup(t.tokens.Length);
            for (int count = 1; count <= t.tokens.Length; count += t.chunk)
            {
                var known = t.tokens.AsSpan(0, count);
                (int, int) expected = default;
                for (int at = count - 2, tries = 0; at > 0 && tries < 12; at--)
                {
                    int matched = 0;
                    while (matched < 8 && matched <= at && known[at - matched] == known[count - 1 - matched]) matched++;
                    if (matched >= 2) tries++;
                    if (matched >= 2 && matched > expected.Item2) expected = (at + 1, matched);
                }
                var found = lookup.Find(known);
                Assert.True(found.Matched <= expected.Item2);      // pairs of one hash may take a few of the tries
                if (found.Matched == expected.Item2) Assert.Equal(expected, found);
                if (expected.Item2 > 0 && count < 24) Assert.Equal(expected, found);
            }
        }, iter: 2000, seed: "0N0XIzNsQ0O2", threads: 1);

    [Fact]
    public void What_followed_is_expected_again_and_what_never_did_is_tried_rarely()
    {
        var lookup = new PromptLookup(64);
        Assert.True(lookup.Likelihood(2) < lookup.Likelihood(3) && lookup.Likelihood(3) < lookup.Likelihood(4) && lookup.Likelihood(4) < lookup.Likelihood(8));
        for (int i = 0; i < 50; i++)
        {
            lookup.Learn(2, true);
            lookup.Learn(9, false);
        }
        Assert.True(lookup.Likelihood(2) > 0.95 && lookup.Likelihood(8) < 0.02);
        Assert.Equal(0.7, lookup.Likelihood(5));
        int passed = 0;
        for (; lookup.Likelihood(8) < 0.15; passed++) lookup.Pass(8);
        Assert.InRange(passed, 60, 120);
    }
}
