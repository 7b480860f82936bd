using System.Runtime.InteropServices;
using Tessera.Runtime.Models;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Runtime.Tests.Models;

/// <summary>States behind the final norm, which embeddings are made of: the same bits whoever shares the step. GoldenTests says that they are right.</summary>
public class StateTests
{
    static float[] Vector(Runner runner, int[] ids, params int[] cuts)
    {
        for (int at = 0, cut = 0; at < ids.Length; cut++)
        {
            int count = Math.Min(cuts[cut % cuts.Length], ids.Length - at);
            runner.Batch.Clear();
            for (int i = 0; i < count; i++, at++) runner.Batch.Add(ids[at], 0, at, wanted: at == ids.Length - 1, state: true);
            runner.Run();
        }
        return Embedding.Of(runner, 0);
    }

    [Theory, MemberData(nameof(BatchTests.LongKinds), MemberType = typeof(BatchTests))]
    public void States_are_the_same_bits_however_the_tokens_come(string name, DType? type, Numerics numerics)
    {
        using var model = new GoldenModel("tiny-tied-d64-v1003", type);
        using var device = TestDevices.Open(name);
        using var loaded = LoadedModel.From(model.File, device);
        var config = model.File.Index.Config;
        using var runner = new Runner(device, config, loaded.Weights, numerics, config.Vocabulary, new BatchLimits(128, 5, 40, 5, 8, 0));
        runner.Cache.SetRuns();
        int[][] texts = [.. new[] { 1, 7, 33, 50, 18 }.Select((length, s) => Enumerable.Range(0, length).Select(i => (i * 37 + s * 91) % 1003).ToArray())];
        float[][] alone = [.. texts.Select(ids => Vector(runner, ids, 128))];
        Assert.Equal(5, alone.Select(v => v[0]).Distinct().Count());
        foreach (var (ids, vector) in texts.Zip(alone))
        {
            Assert.Equal(vector, Vector(runner, ids, 1, 5, 16, 11));
            Assert.Equal(vector, Vector(runner, ids, 16));
        }
        var logits = new float[config.Vocabulary];
        float[] Logits(int row)
        {
            runner.ReadLogits(row, logits);
            return [.. logits];
        }

        // These texts, and what is wanted of each.
        void Step(params (int Text, bool State)[] sequences)
        {
            runner.Batch.Clear();
            foreach (var (s, state) in sequences)
                for (int i = 0; i < texts[s].Length; i++) runner.Batch.Add(texts[s][i], s, i, wanted: i == texts[s].Length - 1, state: state);
            runner.Run();
        }
        Step((1, false));
        float[] expected = Logits(0);
        int best = runner.Candidates(0).Id(0);

        // Of odd lengths together: the head is not computed.
        Step((0, true), (1, true), (2, true), (3, true), (4, true));
        for (int s = 0; s < 5; s++) Assert.Equal(alone[s], Embedding.Of(runner, s));
        Assert.DoesNotContain(runner.Profile(), call => call.Call.Kernel.Name is "Candidates" or "MergeCandidates");

        // Beside one whose logits are wanted, before and behind it.
        Step((3, true), (1, false), (4, true));
        Assert.Equal(expected, Logits(1));
        Assert.Equal(best, runner.Candidates(1).Id(0));
        Assert.Equal(alone[3], Embedding.Of(runner, 0));
        Assert.Equal(alone[4], Embedding.Of(runner, 2));
        Step((1, false));
        Assert.Equal(expected, Logits(0));
    }

    [Theory, InlineData(float.NaN), InlineData(float.PositiveInfinity)]
    public void A_state_that_is_not_finite_is_an_error_that_says_so(float value)
    {
        using var golden = new GoldenModel("numbers-dense", DType.Q8);
        using var opened = TestDevices.Open("host");
        using var loaded = LoadedModel.From(golden.File, opened);
        var config = golden.File.Index.Config;
        using var memory = opened.Allocate(4 * config.Hidden);
        var norm = Tensor.Packed(memory, 0, DType.F32, 1, config.Hidden);
        float[] values = [.. Enumerable.Repeat(1f, config.Hidden)];
        Runner With(float last)
        {
            values[5] = last;
            opened.Write(norm, MemoryMarshal.AsBytes<float>(values));
            var w = loaded.Weights;
            var weights = new Qwen3Weights { Embedding = w.Embedding, Head = w.Head, FinalNorm = norm, Layers = w.Layers };
            var runner = new Runner(opened, config, weights, Numerics.Fast, config.Vocabulary, new BatchLimits(16, 1, 4, 1, 4, 0));
            runner.Cache.SetRuns();
            return runner;
        }
        using (var broken = With(value))
        {
            var e = Assert.Throws<TesseraException>(() => Vector(broken, [5, 6, 7], 3));
            Assert.StartsWith("the state behind token 3 is not finite on host", e.Message);
        }
        values.AsSpan().Clear();
        using var nothing = With(0);
        Assert.All(Vector(nothing, [5, 6, 7], 3), x => Assert.Equal(0, x)); // no direction, and no NaN
    }
}
