using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text;
using Tessera.Runtime.Files;
using Tessera.Runtime.Models;
using Tessera.Runtime.Sampling;
using Tessera.Runtime.Tests.Devices;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Runtime.Tests.Models;

/// <summary>Steps that are stopped half-way, and steps whose numbers are broken.</summary>
public class RunnerTests
{
    [Fact]
    public void A_long_step_can_be_stopped_half_way_and_computes_the_same_in_parts()
    {
        using var golden = new GoldenModel("numbers-dense", DType.Q8);
        using var stop = new CancellationTokenSource();
        int submitted = 0, stopAt = int.MaxValue;
        using var device = new FakeDevice("fake", 1L << 40) { Submitting = () => { if (++submitted == stopAt) stop.Cancel(); } };
        using var loaded = LoadedModel.From(golden.File, device);
        var config = golden.File.Index.Config;
        Runner Make(double seconds)
        {
            var runner = new Runner(device, config, loaded.Weights, Numerics.Fast, config.Vocabulary, Fit.Limits(256, 16, 1)) { MaxPartSeconds = seconds };
            runner.Cache.SetRuns();
            return runner;
        }
        bool Run(Runner runner, CancellationToken token, int from = 0, int count = 100)
        {
            runner.Batch.Clear();
            for (int i = 0; i < count; i++) runner.Batch.Add(5 + (from + i) * 7 % 500, 0, from + i, wanted: i == count - 1);
            submitted = 0;
            return runner.Run(() => token.IsCancellationRequested);
        }
        float[] Logits(Runner runner)
        {
            var logits = new float[config.Vocabulary];
            runner.ReadLogits(0, logits);
            return logits;
        }
        using Runner whole = Make(1e9), cut = Make(0);
        Assert.True(Run(whole, default));
        Assert.Equal(1, submitted);
        float[] expected = Logits(whole);

        stopAt = 5;
        Assert.False(Run(cut, stop.Token));
        Assert.Equal(5, submitted);
        Assert.True(Run(cut, default));
        Assert.True(submitted > 10, $"{submitted} parts");
        Assert.Equal(expected, Logits(cut));

        // Stopped at a later chunk, the positions before it stay.
        Assert.True(Run(cut, default, 0, 80));
        using var again = new CancellationTokenSource();
        again.Cancel();
        Assert.False(Run(cut, again.Token, 80, 100));
        Assert.Equal(1, submitted);
        Assert.True(Run(cut, default, 80, 20)); // few tokens: one submission
        Assert.Equal(1, submitted);
        Assert.Equal(expected, Logits(cut));
    }

    public static TheoryData<string, string, float> Broken
    {
        get
        {
            var all = new TheoryData<string, string, float>();
            foreach (string device in TestDevices.ForModels)
            {
                all.Add(device, "bf16", float.NaN);
                all.Add(device, "bf16", float.PositiveInfinity);
                all.Add(device, "q8", float.PositiveInfinity);
                all.Add(device, "q8", float.NaN);
            }
            return all;
        }
    }

    [Theory, MemberData(nameof(Broken))]
    public void Logits_that_are_not_finite_are_an_error_that_says_so(string device, string type, float value)
    {
        using var golden = new GoldenModel("numbers-dense", type == "q8" ? DType.Q8 : null);
        using var opened = TestDevices.Open(device);
        using var loaded = LoadedModel.From(golden.File, opened);
        var config = golden.File.Index.Config;
        float[] values = new float[config.Hidden];
        Array.Fill(values, 1f);
        values[5] = value;
        using var memory = opened.Allocate(4 * config.Hidden);
        var norm = Tensor.Packed(memory, 0, DType.F32, 1, config.Hidden);
        opened.Write(norm, MemoryMarshal.AsBytes<float>(values));
        var weights = new Qwen3Weights { Embedding = loaded.Weights.Embedding, Head = loaded.Weights.Head, FinalNorm = norm, Layers = loaded.Weights.Layers };
        using var runner = new Runner(opened, config, weights, Numerics.Fast, config.Vocabulary, Fit.Limits(64, 4, 1));
        runner.Cache.SetRuns();
        for (int i = 0; i < 3; i++) runner.Batch.Add(5 + i, 0, i, wanted: i == 2);
        runner.Run();
        var plain = new SamplingOptions { Temperature = 1, TopK = 0, TopP = 1, MinP = 0, RepetitionPenalty = 1 };
        foreach (var sampling in new[] { plain with { Temperature = 0 }, plain, plain with { TopK = 20 } })
        {
            var e = Assert.Throws<TesseraException>(() => new Sampler(sampling, config.Vocabulary).Draw(runner, 0));
            Assert.StartsWith($"the logits behind token 3 are not finite on {opened.Name}", e.Message);
        }
    }

    [Fact]
    public void A_norm_that_is_not_finite_is_refused_when_the_model_is_loaded()
    {
        using var golden = new GoldenModel("numbers-dense", DType.Q8);
        byte[] bytes = File.ReadAllBytes(golden.FilePath);
        var segment = golden.File.Find("final_norm");
        var norm = bytes.AsSpan((int)segment.Offset, (int)segment.Bytes);
        BitConverter.TryWriteBytes(norm[20..], float.NaN);
        // As if it had been written so: with the hashes of what it holds.
        var index = bytes.AsSpan((int)BitConverter.ToInt64(bytes, 16), (int)BitConverter.ToInt64(bytes, 24));
        string hash = XxHash128.HashToUInt128(norm).ToString("x32", System.Globalization.CultureInfo.InvariantCulture);
        Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(index).Replace(segment.Hash, hash)).CopyTo(index);
        new TiledHeader(BitConverter.ToInt64(bytes, 16), index.Length, bytes.Length, XxHash128.HashToUInt128(index)).Write(bytes);
        string path = Path.Combine(Path.GetTempPath(), $"tessera-{Guid.NewGuid():N}.tessera");
        try
        {
            File.WriteAllBytes(path, bytes);
            var e = Assert.Throws<TesseraException>(() => Model.Load(path, new ModelOptions { Device = "host" }));
            Assert.Contains("'final_norm' holds a number that is not finite", e.Message);
        }
        finally { File.Delete(path); }
    }

    [Theory]
    [InlineData(1e300)]
    [InlineData(-1)]
    [InlineData(0)]
    public void An_attention_factor_that_no_model_has_is_refused(double factor)
    {
        var config = Synthetic.Shapes["qwen3-0.6b"] with { Rope = new RopeConfig(1e6, new YarnConfig(4, 4096, 32, 1, factor)) };
        Assert.Contains("attention factor", Assert.Throws<TesseraException>(() => config.Check("file")).Message);
    }
}
