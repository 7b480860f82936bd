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
        using var runner = new Runner(device, config, loaded.Weights, numerics, config.Vocabulary, new BatchLimits(64, 64, 3, 8, 0));
        int[] ids = [.. Enumerable.Range(0, 90).Select(i => i * 37 % 1003)], other = [.. Enumerable.Range(0, 90).Select(i => (i * 91 + 5) % 1003)];

        float[] Last(params int[] cuts)
        {
            for (int s = 0; s < 3; s++) runner.Cache.Truncate(s, 0);
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
        for (int s = 0; s < 3; s++) runner.Cache.Truncate(s, 0);
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
        using var runner = new Runner(device, config, loaded.Weights, numerics, config.Vocabulary, new BatchLimits(Tokens, 1, 1, 40, 0));

        float[] Last(params int[] cuts)
        {
            Assert.Equal(Tokens, cuts.Sum());
            runner.Cache.Truncate(0, 0);
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
            using var runner = new Runner(on, config, loaded.Weights, Numerics.Exact, config.Vocabulary, new BatchLimits(4, 4, 1, 131072 / KvBlock.Tokens, 0));
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

    [Fact]
    public void The_cache_takes_and_gives_back_blocks()
    {
        using var device = DeviceCatalog.Open("host");
        using var cache = new KvCache(device, DType.F16, layers: 1, kvHeads: 1, headDim: 32, sequences: 2, blocksPerSequence: 3);
        int[] first = [.. Enumerable.Range(0, 48).Select(i => cache.Slot(0, i))], second = [.. Enumerable.Range(0, 20).Select(i => cache.Slot(1, i))];
        Assert.Equal(68, first.Concat(second).Distinct().Count());
        Assert.Equal(first[0] + 5, first[5]); // a block is contiguous
        Assert.Contains("context of 48 tokens is full", Assert.Throws<TesseraException>(() => cache.Slot(0, 48)).Message);
        cache.Truncate(0, 17);
        Assert.Equal(first[..32], Enumerable.Range(0, 32).Select(i => cache.Slot(0, i)));
        cache.Truncate(0, 0);
        cache.Truncate(1, 0);
        Assert.Equal(96, Enumerable.Range(0, 48).Select(i => cache.Slot(1, i)).Concat(Enumerable.Range(0, 48).Select(i => cache.Slot(0, i))).Distinct()
            .Count());
    }

    [Fact]
    public void YaRN_stretches_as_the_golden_says()
    {
        using var model = new GoldenModel("tiny-yarn");
        var golden = model.Json.GetProperty("yarn");
        var config = model.File.Index.Config;
        var rope = new Rope(config.Rope, config.HeadDim, config.Context);
        double[] expected = [.. golden.GetProperty("inv_freq").EnumerateArray().Select(f => f.GetDouble())];
        Assert.Equal(expected.Length, rope.InverseFrequencies.Length);
        for (int i = 0; i < expected.Length; i++) Assert.Equal(1, rope.InverseFrequencies[i] / expected[i], 2e-6);
        Assert.Equal(golden.GetProperty("attention_factor").GetDouble(), rope.AttentionFactor, 1e-6);
    }
}
