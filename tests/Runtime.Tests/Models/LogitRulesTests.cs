using Tessera.Runtime.Models;
using Tessera.Runtime.Tests.Devices;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Runtime.Tests.Models;

/// <summary>Masks, penalties and biases of sequences: they stay on the device until they are changed, and reach the rows that name them, no others.</summary>
public sealed class LogitRulesTests : IDisposable
{
    const int Sequences = 3;

    readonly GoldenModel model = new("numbers-dense", DType.Q8);

    public void Dispose() => model.Dispose();

    public static TheoryData<string> Devices => [.. TestDevices.ForModels];

    sealed class Stand(GoldenModel model, Runtime.Devices.IDevice device, int edits) : IDisposable
    {
        readonly LoadedModel loaded = LoadedModel.From(model.File, device);
        Runner? runner;

        public Runner Runner => runner ??= Make();

        Runner Make()
        {
            var made = new Runner(device, Config, loaded.Weights, Numerics.Fast, Config.Vocabulary, new BatchLimits(8, 8, 12, Sequences, 4, edits, Sequences));
            made.Cache.SetRuns();
            return made;
        }

        public Qwen3Config Config => model.File.Index.Config;

        public LogitRules Rules => Runner.Rules;

        /// <summary>One token of each, alone in its sequence, whose row names a set; the logits of all rows.</summary>
        public float[][] Step(params ReadOnlySpan<(int Token, int Set)> rows)
        {
            Runner.Batch.Clear();
            for (int i = 0; i < rows.Length; i++) Runner.Batch.Add(rows[i].Token, i, 0, wanted: true, rows[i].Set);
            Runner.Run();
            return [.. Enumerable.Range(0, rows.Length).Select(Logits)];
        }

        float[] Logits(int row)
        {
            var logits = new float[Config.Vocabulary];
            Runner.ReadLogits(row, logits);
            return logits;
        }

        public void Dispose()
        {
            runner?.Dispose();
            loaded.Dispose();
        }
    }

    static float[] With(float[] logits, params (int Id, float Value)[] changed)
    {
        float[] copy = [.. logits];
        foreach (var (id, value) in changed) copy[id] = value;
        return copy;
    }

    [Theory, MemberData(nameof(Devices))]
    public void Rules_stay_until_they_are_changed(string name)
    {
        using var device = TestDevices.Open(name);
        using var stand = new Stand(model, device, edits: 16);
        float[] raw = stand.Step((5, -1))[0];
        stand.Rules.Edit(0, 40, 3);
        stand.Rules.Edit(1, 41, -2); // a bias
        stand.Rules.Edit(1, 42, 0, divide: 2);
        for (int step = 0; step < 3; step++)
        {
            float[][] rows = stand.Step((5, 0), (5, 1), (5, -1));
            Assert.Equal(With(raw, (40, raw[40] - 3)), rows[0]);
            Assert.Equal(With(raw, (41, raw[41] + 2), (42, raw[42] > 0 ? raw[42] / 2 : raw[42] * 2)), rows[1]);
            Assert.Equal(raw, rows[2]);
        }
        // One more, one in place of another; the set named by two rows, in another order.
        stand.Rules.Edit(0, 43, 1);
        stand.Rules.Edit(0, 40, 5);
        float[][] again = stand.Step((5, 1), (5, 0), (5, 0));
        float[] first = With(raw, (40, raw[40] - 5), (43, raw[43] - 1));
        Assert.Equal(With(raw, (41, raw[41] + 2), (42, raw[42] > 0 ? raw[42] / 2 : raw[42] * 2)), again[0]);
        Assert.Equal(first, again[1]);
        Assert.Equal(first, again[2]);

        // Another sequence takes the set: nothing of the last stays.
        stand.Rules.Clear(0);
        Assert.Equal(raw, stand.Step((5, 0))[0]);
        stand.Rules.Edit(0, 50, 1);
        float[][] other = stand.Step((5, 0), (5, 1));
        Assert.Equal(With(raw, (50, raw[50] - 1)), other[0]);
        Assert.Equal(With(raw, (41, raw[41] + 2), (42, raw[42] > 0 ? raw[42] / 2 : raw[42] * 2)), other[1]);
    }

    [Theory, MemberData(nameof(Devices))]
    public void A_mask_stays_with_its_set(string name)
    {
        using var device = TestDevices.Open(name);
        using var stand = new Stand(model, device, edits: 4);
        float[] raw = stand.Step((5, -1))[0];
        int vocabulary = raw.Length;
        int[] words = new int[CandidatesOp.MaskWords(vocabulary)];
        foreach (int id in new[] { 3, 700, vocabulary - 1 }) words[id / 32] |= 1 << id;
        stand.Rules.Mask(2, words);
        stand.Rules.Edit(2, 700, -50);
        stand.Rules.Edit(2, 701, -500); // stays masked
        float[] masked = [.. raw.Select((l, id) => id is 3 or 700 || id == vocabulary - 1 ? l : CandidatesOp.Nothing)];
        for (int step = 0; step < 2; step++)
        {
            float[][] rows = stand.Step((5, 2), (5, 0));
            Assert.Equal(With(masked, (700, raw[700] + 50)), rows[0]);
            Assert.Equal(raw, rows[1]);
            var best = stand.Runner.Candidates(0);
            Assert.Equal((700, 3), (best.Id(0), best.Count));
        }
        stand.Rules.Mask(2, []);
        Assert.Equal(With(raw, (700, raw[700] + 50), (701, raw[701] + 500)), stand.Step((5, 2))[0]);
        stand.Rules.Mask(2, new int[words.Length]);
        stand.Step((5, 2));
        Assert.Contains("no token can be drawn", Assert.Throws<TesseraException>(() =>
            new Runtime.Sampling.Sampler(SamplingOptions.Greedy with { TopK = 0, TopP = 1, MinP = 0, RepetitionPenalty = 1 }, vocabulary).Draw(stand.Runner, 0))
            .Message);
        Assert.Contains($"expected {words.Length} words", Assert.Throws<TesseraException>(() => stand.Rules.Mask(2, words[1..])).Message);
    }

    [Theory, MemberData(nameof(Devices))]
    public void Logprobs_are_made_of_what_the_model_gives(string name)
    {
        using var device = TestDevices.Open(name);
        using var stand = new Stand(model, device, edits: 4096);
        float[] raw = stand.Step((5, -1))[0];
        var plain = stand.Runner.Candidates(0).Stats;
        double expected = Math.Log(raw.Sum(l => Math.Exp((double)l)));
        Assert.Equal((raw.Max(), raw.Max()), (plain.RawMaximum, plain.Maximum));
        Assert.Equal(expected, plain.RawLogSumExp, 1e-5);
        Assert.Equal(plain.RawLogSumExp, plain.LogSumExp);
        for (int id = 0; id < raw.Length; id++) stand.Rules.Edit(1, id, id % 5); // all of the vocabulary
        float[] edited = stand.Step((5, 1))[0];
        Assert.Equal(raw.Select((l, id) => l - id % 5), edited);
        var stats = stand.Runner.Candidates(0).Stats;
        Assert.Equal((plain.RawMaximum, plain.RawLogSumExp, edited.Max()), (stats.RawMaximum, stats.RawLogSumExp, stats.Maximum));
        Assert.Equal(Math.Log(edited.Sum(l => Math.Exp((double)l))), stats.LogSumExp, 1e-5);
        var best = stand.Runner.Candidates(0);
        Assert.Equal(CandidatesOp.Kept, best.Count);
        for (int i = 0; i < best.Count; i++) Assert.Equal((edited[best.Id(i)], raw[best.Id(i)]), (best.Logit(i), best.Raw(i)));
    }

    [Theory, MemberData(nameof(Devices))]
    public void One_read_brings_the_candidates_of_all_rows_and_allocates_nothing(string name)
    {
        using var device = TestDevices.Open(name);
        using var stand = new Stand(model, device, edits: 4);
        stand.Rules.Edit(1, 700, -50);
        float[][] rows = stand.Step((5, -1), (6, 1), (7, -1));
        for (int row = 0; row < rows.Length; row++)
        {
            var candidates = stand.Runner.Candidates(row);
            int[] expected = [.. Enumerable.Range(0, rows[row].Length).OrderByDescending(id => rows[row][id]).ThenBy(id => id).Take(CandidatesOp.Kept)];
            for (int i = 0; i < expected.Length; i++) Assert.Equal((expected[i], rows[row][expected[i]]), (candidates.Id(i), candidates.Logit(i)));
            Assert.Equal(rows[row].Max(), candidates.Stats.Maximum);
        }
        stand.Runner.Run();
        long before = GC.GetAllocatedBytesForCurrentThread();
        int sum = 0;
        for (int row = 0; row < rows.Length; row++) sum += stand.Runner.Candidates(row).Id(0);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.True(sum > 0);
    }

    [Fact]
    public void Only_what_changes_is_written()
    {
        using var device = new FakeDevice("counting", 1L << 40);
        using var stand = new Stand(model, device, edits: 1000);
        long Written(Action change)
        {
            stand.Step((5, 1));
            long before = device.Written;
            stand.Step((5, 1));
            long plain = device.Written - before;
            change();
            before = device.Written;
            stand.Step((5, 1));
            return device.Written - before - plain;
        }
        for (int id = 0; id < 500; id++) stand.Rules.Edit(1, 3 * id, 1);
        Assert.Equal(0, Written(() => { }));
        Assert.Equal(12, Written(() => stand.Rules.Edit(1, 1501, 1)));
        Assert.Equal(12, Written(() => stand.Rules.Edit(1, 300, 2)));
        Assert.Equal(24, Written(() => { stand.Rules.Edit(1, 1502, 1); stand.Rules.Edit(1, 1504, 1); }));
        Assert.Equal(0, Written(() => stand.Rules.Edit(2, 7, 1))); // no row names it
        Assert.Equal(0, Written(() => stand.Rules.Clear(1)));
    }

    [Fact]
    public void What_does_not_fit_is_refused_and_not_dropped()
    {
        using var device = TestDevices.Open("host");
        using var stand = new Stand(model, device, edits: 3);
        for (int id = 10; id < 13; id++) stand.Rules.Edit(0, id, 1);
        stand.Rules.Edit(0, 11, 2); // is there
        Assert.Contains("at most 3 tokens", Assert.Throws<TesseraException>(() => stand.Rules.Edit(0, 13, 1)).Message);
        stand.Rules.Edit(1, 13, 1);
        Assert.Contains("token -1", Assert.Throws<TesseraException>(() => stand.Rules.Edit(0, -1, 1)).Message);
        Assert.Contains($"expected 0 to {stand.Config.Vocabulary - 1}",
            Assert.Throws<TesseraException>(() => stand.Rules.Edit(0, stand.Config.Vocabulary, 1)).Message);
        foreach (var (subtract, divide) in new[] { (float.NaN, 1f), (0, float.NaN), (0, 0), (0, -1), (0, float.PositiveInfinity) })
            Assert.Throws<TesseraException>(() => stand.Rules.Edit(0, 11, subtract, divide));
        float[] raw = stand.Step((5, -1))[0];
        stand.Rules.Edit(0, 12, float.PositiveInfinity);
        Assert.Equal(With(raw, (10, raw[10] - 1), (11, raw[11] - 2), (12, CandidatesOp.Nothing)), stand.Step((5, 0))[0]);
    }

    [Fact]
    public void A_penalty_reaches_every_token_of_a_long_prompt()
    {
        using var one = new OneSequence(model.FilePath, new ModelOptions { Device = "host", Context = 2304 });
        int[] prompt = [.. Enumerable.Range(0, one.Runner.RealIds - 5)]; // more than 2048, each once
        Assert.True(prompt.Length > 2100);
        one.Take(prompt, SamplingOptions.Greedy, 1);
        float[] raw = one.Logits();
        one.Take(prompt, SamplingOptions.Greedy with { RepetitionPenalty = 2 }, 1);
        float[] penalised = one.Logits();
        for (int id = 0; id < raw.Length; id++) Assert.Equal(id >= prompt.Length ? raw[id] : raw[id] > 0 ? raw[id] / 2 : raw[id] * 2, penalised[id], 1e-5f);
    }
}
