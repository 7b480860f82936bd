using Tessera.Runtime.Cache;
using Tessera.Runtime.Devices;
using Tessera.Runtime.Models;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Runtime.Tests.Models;

/// <summary>An answer does not depend on who shares the batch, how a prompt is cut, or where blocks lie.</summary>
public class BatchTests
{
    public static TheoryData<string, DType?, Numerics> Kinds()
    {
        var cases = new TheoryData<string, DType?, Numerics>();
        foreach (string device in TestDevices.ForModels)
            foreach (var (type, numerics) in new (DType?, Numerics)[] { (null, Numerics.Exact), (null, Numerics.Fast), (DType.Q8, Numerics.Fast),
                (DType.Q8, Numerics.Exact), (DType.F16, Numerics.Exact),
                (DType.Q4, Numerics.Fast), (DType.Q4, Numerics.Exact) }) cases.Add(device, type, numerics);
        return cases;
    }

    /// <summary>An F32 cache and one in F16, with activations of either kind.</summary>
    public static TheoryData<string, DType?, Numerics> LongKinds() =>
        [.. Kinds().Select(kind => kind.Data).Where(kind => (kind.Item2, kind.Item3) is (null, Numerics.Exact) or (DType.Q8, Numerics.Fast))];

    [Theory, MemberData(nameof(Kinds))]
    public void Logits_are_the_same_bits_however_the_tokens_come(string name, DType? type, Numerics numerics)
    {
        using var model = new GoldenModel("tiny-tied-d64-v1003", type);
        using var device = TestDevices.Open(name);
        using var loaded = LoadedModel.From(model.File, device);
        var config = model.File.Index.Config;
        using var runner = new Runner(device, config, loaded.Weights, numerics, config.Vocabulary, new BatchLimits(64, 64, 24, 3, 8, 0));
        runner.Cache.SetRuns();
        int[] ids = [.. Enumerable.Range(0, 90).Select(i => i * 37 % 1003)], other = [.. Enumerable.Range(0, 90).Select(i => (i * 91 + 5) % 1003)];

        float[] Last(params int[] cuts)
        {
            int at = 0;
            foreach (int count in cuts)
            {
                runner.Batch.Clear();
                for (int i = 0; i < count; i++, at++) runner.Batch.Add(ids[at], 0, at, wanted: at == ids.Length - 1);
                runner.Run();
            }
            return Logits(0);
        }
        float[] Logits(int row)
        {
            var logits = new float[config.Vocabulary];
            runner.ReadLogits(row, logits);
            return logits;
        }
        float[] whole = Last(64, 26);
        Assert.Equal(whole, Last(1, 2, 3, 5, 7, 11, 13, 17, 19, 12));
        Assert.Equal(whole, Last([.. Enumerable.Repeat(1, 90)]));
        Assert.Equal(whole, Last(45, 45));

        // Beside two other sequences, whose blocks lie between.
        for (int i = 0; i < 24; i++) runner.Cache.Set(i % 3, i / 3, i * 5 % 24);
        for (int at = 0; at < 90; at += 15)
        {
            runner.Batch.Clear();
            for (int i = 0; i < 15; i++) runner.Batch.Add(other[at + i], 2, at + i, wanted: true);
            for (int i = 0; i < 15; i++) runner.Batch.Add(ids[at + i], 1, at + i, wanted: true);
            for (int i = 0; i < 7; i++) runner.Batch.Add(other[i], 0, at + i, wanted: false);
            runner.Run();
        }
        Assert.Equal(whole, Logits(29));
    }

    /// <summary>Longer than two splits of attention: in one piece, in chunks that end anywhere, and the last tokens one by one, as in decoding.</summary>
    [Theory, MemberData(nameof(LongKinds))]
    public void A_long_prompt_gives_the_same_bits_in_one_piece_and_in_chunks(string name, DType? type, Numerics numerics)
    {
        const int Tokens = 600;
        using var model = new GoldenModel("tiny-tied-d64-v1003", type);
        using var device = TestDevices.Open(name);
        using var loaded = LoadedModel.From(model.File, device);
        var config = model.File.Index.Config;
        using var runner = new Runner(device, config, loaded.Weights, numerics, config.Vocabulary, new BatchLimits(Tokens, 1, 40, 1, 40, 0));
        runner.Cache.SetRuns();

        float[] Last(params int[] cuts)
        {
            Assert.Equal(Tokens, cuts.Sum());
            int at = 0;
            foreach (int count in cuts)
            {
                runner.Batch.Clear();
                for (int i = 0; i < count; i++, at++) runner.Batch.Add(at * 37 % 1003, 0, at, wanted: at == Tokens - 1);
                runner.Run();
            }
            var logits = new float[config.Vocabulary];
            runner.ReadLogits(0, logits);
            return logits;
        }
        float[] whole = Last(Tokens);
        Assert.Equal(whole, Last(512, 88));
        Assert.Equal(whole, Last(255, 9, 230, 7, 1, 98));
        Assert.Equal(whole, Last([588, .. Enumerable.Repeat(1, 12)]));
    }

    [Theory, Trait("set", "all"), InlineData("host"), InlineData("lavapipe")]
    public void YaRN_reaches_128K_positions(string device)
    {
        using var model = new GoldenModel("tiny-yarn");
        var config = model.File.Index.Config with { Context = 131072 };
        float[] Far(string name)
        {
            using var on = TestDevices.Open(name);
            using var loaded = LoadedModel.From(model.File, on);
            const int Blocks = 131072 / KvBlock.Tokens;
            using var runner = new Runner(on, config, loaded.Weights, Numerics.Exact, config.Vocabulary, new BatchLimits(4, 4, Blocks, 1, Blocks, 0));
            runner.Cache.SetRuns();
            // A few tokens early and a few at the very end; between them the cache holds zeros, which count in every softmax alike.
            foreach (int first in new[] { 0, 70000, 131069 })
            {
                runner.Batch.Clear();
                for (int i = 0; i < 3; i++) runner.Batch.Add(10 + i + first % 7, 0, first + i, wanted: true);
                runner.Run();
            }
            var logits = new float[config.Vocabulary];
            runner.ReadLogits(2, logits);
            return logits;
        }
        float[] expected = Far("reference"), actual = Far(device);
        double error = expected.Zip(actual, (e, a) => Math.Pow(e - a, 2)).Sum() / expected.Sum(e => e * (double)e);
        Assert.True(error < 1e-9, $"NMSE {error:E2}");
    }

    /// <summary>Two sequences that begin alike share the blocks of what they have in common; it is computed for the first.</summary>
    [Theory, MemberData(nameof(Kinds))]
    public void Sequences_that_share_blocks_give_the_bits_of_each_alone(string name, DType? type, Numerics numerics)
    {
        const int Common = 32, Own = 9;
        using var model = new GoldenModel("tiny-tied-d64-v1003", type);
        using var device = TestDevices.Open(name);
        using var loaded = LoadedModel.From(model.File, device);
        var config = model.File.Index.Config;
        using var runner = new Runner(device, config, loaded.Weights, numerics, config.Vocabulary, new BatchLimits(64, 2, 4, 2, 3, 0));
        int Id(int sequence, int at) => (at * 37 + (at < Common ? 0 : sequence * 91)) % 1003;
        float[] Logits(int row)
        {
            var logits = new float[config.Vocabulary];
            runner.ReadLogits(row, logits);
            return logits;
        }
        void Step(int from, int end, params int[] sequences)
        {
            runner.Batch.Clear();
            foreach (int s in sequences)
                for (int at = from; at < end; at++) runner.Batch.Add(Id(s, at), s, at, wanted: at == Common + Own - 1);
            runner.Run();
        }
        var alone = new float[2][];
        for (int s = 0; s < 2; s++)
        {
            for (int i = 0; i < 3; i++) runner.Cache.Set(s, i, 3 - i);
            Step(0, Common + Own, s);
            alone[s] = Logits(0);
            runner.Cache.Clear(s);
        }
        Assert.NotEqual(alone[0], alone[1]);
        foreach (var (row, index, block) in new[] { (0, 0, 2), (0, 1, 0), (0, 2, 3), (1, 0, 2), (1, 1, 0), (1, 2, 1) }) runner.Cache.Set(row, index, block);
        Step(0, Common, 0);
        Step(Common, Common + Own, 0, 1);
        Assert.Equal(alone[0], Logits(0));
        Assert.Equal(alone[1], Logits(1));
    }

    [Fact]
    public void YaRN_stretches_as_the_golden_says()
    {
        using var model = new GoldenModel("tiny-yarn");
        var golden = model.Json.GetProperty("yarn");
        var config = model.File.Index.Config;
        var rope = new Rope(config.Rope, config.HeadDim, config.Context, positions: 16);
        double[] expected = [.. golden.GetProperty("inv_freq").EnumerateArray().Select(f => f.GetDouble())];
        Assert.Equal(expected.Length, rope.InverseFrequencies.Length);
        for (int i = 0; i < expected.Length; i++) Assert.Equal(1, rope.InverseFrequencies[i] / expected[i], 2e-6);
        Assert.Equal(golden.GetProperty("attention_factor").GetDouble(), rope.AttentionFactor, 1e-6);
    }
}
