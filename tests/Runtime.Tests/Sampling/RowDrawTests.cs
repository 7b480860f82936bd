using Tessera.Runtime.Sampling;
using Tessera.Shaders;
using Xunit;

namespace Tessera.Runtime.Tests.Sampling;

/// <summary>Draws from made-up rows, against the definition: sort, cut, draw.</summary>
public class RowDrawTests
{
    static readonly SamplingOptions plain = new() { Temperature = 1, TopK = 0, TopP = 1, MinP = 0, RepetitionPenalty = 1 };

    sealed record Row(float[] Logits)
    {
        readonly int[] best = [.. Sorted(Logits).Concat(Enumerable.Repeat(-1, CandidatesOp.Kept)).Take(CandidatesOp.Kept)
            .SelectMany(id => new[] { id, BitConverter.SingleToInt32Bits(id < 0 ? CandidatesOp.Nothing : Logits[id]) })];

        public RowCandidates Candidates => new(best, new float[CandidatesOp.Kept], new LogitStats(0, 0, Logits.Max(), 0));

        /// <summary>Ids that can be drawn, most probable first, ties by lower id.</summary>
        public static IEnumerable<int> Sorted(float[] logits) =>
            Enumerable.Range(0, logits.Length).Where(id => logits[id] > CandidatesOp.Nothing).OrderByDescending(id => logits[id]).ThenBy(id => id);

        public int Draw(SamplingOptions options, WeightedRow weighted, bool whole)
        {
            var sampler = new Sampler(options, Logits.Length);
            if (!whole && !sampler.NeedsRow(Candidates)) return sampler.Draw(Candidates);
            Logits.CopyTo(weighted.Logits);
            return sampler.Draw(Candidates, weighted);
        }
    }

    /// <summary>The definition.</summary>
    static int Expected(float[] logits, int[] sorted, SamplingOptions o)
    {
        int[] ids = [.. sorted.Take(o.TopK is > 0 and int k ? k : int.MaxValue)];
        double[] weights = [.. ids.Select(id => Math.Exp(((double)logits[id] - logits[ids[0]]) / o.Temperature!.Value))];
        double total = weights.Sum(), mass = 0;
        int kept = 0;
        while (kept < ids.Length && (kept == 0 || mass < o.TopP!.Value * total && weights[kept] >= o.MinP!.Value)) mass += weights[kept++];
        double at = new Random(o.Seed!.Value).NextDouble() * mass;
        for (int i = 0; i < kept; i++)
            if ((at -= weights[i]) < 0) return ids[i];
        return ids[kept - 1];
    }

    static float[] Logits(Random random, int ids, int kind) => [.. Enumerable.Range(0, ids).Select(id => kind switch
    {
        0 => (float)(random.NextDouble() * 20),
        1 => random.Next(4),                                          // many ties
        2 => 1,                                                       // all alike
        3 => id == ids / 2 ? 80 : (float)random.NextDouble(),         // one towers over all
        4 => random.Next(3) == 0 ? CandidatesOp.Nothing : (float)(random.NextDouble() * 8), // masked
        5 => id % 2 == 0 ? 0f : -0f,                                  // both zeros are one
        6 => (id - ids / 2) * 1e-3f,                                  // ascending
        7 => random.Next(2) == 0 ? 3e38f : -2.9e38f,                  // the ends of what there is
        _ => -MathF.Log(id + 1),                                      // descending, as words are
    })];

    [Fact]
    public void A_whole_row_gives_what_a_sorted_one_would() => Compare(rounds: 6, ids: 3000);

    [Fact, Trait("set", "all")]
    public void Large_rows_give_what_sorted_ones_would() => Compare(rounds: 1, ids: 151936);

    static void Compare(int rounds, int ids)
    {
        var random = new Random(5);
        var weighted = new WeightedRow(ids);
        int beyond = 0;
        for (int round = 0; round < rounds; round++)
            for (int kind = 0; kind <= 8; kind++)
            {
                var row = new Row(Logits(random, ids, kind));
                int[] sorted = [.. Row.Sorted(row.Logits)];
                foreach (int topK in new[] { 0, 1, 64, 65, 100, ids - 1, ids + 5 })
                    foreach (float topP in new[] { 1, 0.95f, 0.5f, 1e-6f })
                        foreach (float minP in new[] { 0, 0.05f, 1 })
                        {
                            var options = plain with { TopK = topK, TopP = topP, MinP = minP, Temperature = round % 2 == 0 ? 1 : 2.5f, Seed = random.Next() };
                            int expected = Expected(row.Logits, sorted, options), actual = row.Draw(options, weighted, whole: topK is 0 or > 64);
                            Assert.True(expected == actual, $"kind {kind}, round {round}, {options}: expected {expected}, actual {actual}");
                            if (round % 2 == 1) Assert.Equal(expected, row.Draw(options, weighted, whole: false));
                            for (int i = 0; i < CandidatesOp.Kept && i < row.Candidates.Count; i++) beyond -= row.Candidates.Id(i) == actual ? 1 : 0;
                            beyond++;
                        }
            }
        Assert.True(beyond > 100, $"{beyond} draws lie beyond the candidates"); // else nothing was selected
    }

    [Fact]
    public void The_64_best_are_enough_where_nothing_else_counts()
    {
        var row = new Row(Logits(new Random(1), 1000, 0));
        bool Needs(SamplingOptions options) => new Sampler(options, row.Logits.Length).NeedsRow(row.Candidates);
        Assert.False(Needs(plain with { Temperature = 0 }));
        Assert.False(Needs(plain with { TopK = 64 }));
        Assert.True(Needs(plain with { TopK = 65 }));
        Assert.True(Needs(plain));
        Assert.True(Needs(plain with { MinP = 0.5f, TopP = 0.5f }));
        Assert.False(Needs(plain with { MinP = 0.5f }));
        var few = new Row([.. row.Logits.Select((l, id) => id % 20 == 0 ? l : CandidatesOp.Nothing)]);
        Assert.False(new Sampler(plain, few.Logits.Length).NeedsRow(few.Candidates));
        var none = new Row([.. row.Logits.Select(_ => CandidatesOp.Nothing)]);
        foreach (var options in new[] { plain, plain with { Temperature = 0 }, plain with { TopK = 5 } })
        {
            Assert.Contains("no token can be drawn", Assert.Throws<TesseraException>(() => new Sampler(options, 1000).Draw(none.Candidates)).Message);
            Assert.Contains("no token can be drawn",
                Assert.Throws<TesseraException>(() => new Sampler(options, 1000).Draw(none.Candidates, new WeightedRow(1000))).Message);
        }
    }

    /// <summary>Seeded draws of 64 and less stay what they were.</summary>
    [Fact]
    public void Draws_among_candidates_are_what_they_were()
    {
        var row = new Row([.. Enumerable.Range(0, 200).Select(id => id * 37 % 101 / 10f)]);
        var options = plain with { TopK = 50, TopP = 0.9f, MinP = 0.01f, Temperature = 1.3f, Seed = 11 };
        var sampler = new Sampler(options, 200);
        var random = new Random(11);
        int[] ids = [.. Row.Sorted(row.Logits).Take(50)];
        double[] weights = [.. ids.Select(id => Math.Exp((row.Logits[id] - row.Logits[ids[0]]) / 1.3f))];
        int kept = 1;
        while (weights[..kept].Sum() < 0.9f * weights.Sum() && weights[kept] >= 0.01f) kept++;
        for (int draw = 0; draw < 200; draw++)
        {
            double at = random.NextDouble() * weights[..kept].Sum();
            Assert.Equal(ids[Enumerable.Range(0, kept).First(i => (at -= weights[i]) < 0 || i == kept - 1)], sampler.Draw(row.Candidates));
        }
    }

    [Fact]
    public void Drawing_allocates_nothing()
    {
        const int Ids = 20000;
        var row = new Row(Logits(new Random(2), Ids, 8));
        var weighted = new WeightedRow(Ids);
        foreach (var options in new[] { plain with { TopK = 20 }, plain, plain with { TopP = 0.9f }, plain with { TopK = 1000, TopP = 0.99f, MinP = 1e-5f } })
        {
            var sampler = new Sampler(options with { Seed = 3 }, Ids);
            bool needs = sampler.NeedsRow(row.Candidates);
            var candidates = row.Candidates;
            long before = 0;
            int sum = 0;
            for (int i = 0; i < 40; i++)
            {
                if (i == 10) before = GC.GetAllocatedBytesForCurrentThread();
                row.Logits.CopyTo(weighted.Logits);
                sum += needs ? sampler.Draw(candidates, weighted) : sampler.Draw(candidates);
            }
            Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
            Assert.True(sum > 0);
        }
    }

    [Fact]
    public void Logprobs_are_those_of_double_precision()
    {
        var random = new Random(9);
        float[] raw = [.. Enumerable.Range(0, 500).Select(_ => (float)(random.NextDouble() * 30 - 10))], edited = [.. raw.Select((l, id) => l - id % 3)];
        double sum = Math.Log(raw.Sum(l => Math.Exp(l)));
        int[] best = [.. Row.Sorted(edited).Take(CandidatesOp.Kept)];
        var row = new RowCandidates([.. best.SelectMany(id => new[] { id, BitConverter.SingleToInt32Bits(edited[id]) })], [.. best.Select(id => raw[id])],
            new LogitStats(raw.Max(), (float)sum, edited.Max(), 0));
        foreach (int id in best) Assert.Equal(raw[id] - sum, Logprobs.Of(id, row)!.Value, 2e-6);
        Assert.Null(Logprobs.Of(Enumerable.Range(0, 500).First(id => !best.Contains(id)), row));
        foreach (int k in new[] { 0, 1, 5, 20, 64, 100 })
        {
            var found = new TokenLogprob[k];
            int count = Logprobs.Best(row, found);
            Assert.Equal(best.OrderByDescending(id => raw[id]).ThenBy(id => id).Take(k), found[..count].Select(one => one.Id));
            Assert.All(found[..count], one => Assert.Equal(raw[one.Id] - sum, one.Logprob, 2e-6));
        }
        // Without rules they are the best of all.
        best = [.. Row.Sorted(raw).Take(CandidatesOp.Kept)];
        row = new RowCandidates([.. best.SelectMany(id => new[] { id, BitConverter.SingleToInt32Bits(raw[id]) })], [.. best.Select(id => raw[id])],
            new LogitStats(raw.Max(), (float)sum, raw.Max(), 0));
        var all = new TokenLogprob[20];
        Assert.Equal(20, Logprobs.Best(row, all));
        Assert.Equal(Row.Sorted(raw).Take(20), all.Select(one => one.Id));
    }
}
