using Tessera.Runtime.Devices;
using Tessera.Runtime.Models;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Runtime.Tests.Models;

/// <summary>Whole models against goldens that an independent implementation computed in F32.</summary>
public class GoldenTests
{
    public static TheoryData<string, string> DevicesAndModels()
    {
        var data = new TheoryData<string, string>();
        foreach (string device in TestDevices.ForModels)
            foreach (string model in GoldenModel.All) data.Add(device, model);
        data.Add("reference", "tiny-bias");
        data.Add("reference", "tiny-moe-mixed");
        return data;
    }

    [Theory, MemberData(nameof(DevicesAndModels))]
    public void Exact_logits_of_all_positions(string device, string name)
    {
        using var model = new GoldenModel(name);
        using var on = TestDevices.Open(device);
        using var runner = model.Runner(on, Numerics.Exact, out var loaded);
        using var _ = loaded;
        var logits = new float[model.File.Index.Config.Vocabulary];
        double error = 0, power = 0;
        foreach (string sequence in model.Sequences)
        {
            int[] ids = model.Ints(sequence + ".ids"), topIds = model.Ints(sequence + ".top_ids");
            float[] topLogits = model.Floats(sequence + ".top_logits"), last = model.Floats(sequence + ".last_logits");
            if (device == "reference" && ids.Length > 40) continue; // the definition is slow
            GoldenModel.Feed(runner, ids, 37, (at, count) =>
            {
                for (int i = 0; i < count; i++)
                {
                    runner.ReadLogits(i, logits);
                    for (int j = 0; j < 8; j++) Add(topLogits[(at + i) * 8 + j], logits[topIds[(at + i) * 8 + j]]);
                    if (at + i == ids.Length - 1)
                        for (int id = 0; id < last.Length; id++) Add(last[id], logits[id]);
                }
            });
        }
        TestContext.Current.SendDiagnosticMessage($"{name} exact on {device}: NMSE {error / power:E2}");
        Assert.True(error <= 1e-6 * power, $"NMSE {error / power:E2}");
        void Add(double expected, double actual)
        {
            Assert.True(double.IsFinite(actual));
            Assert.True(Math.Abs(expected - actual) < 1e-3, $"expected {expected}, actual {actual}");
            error += (expected - actual) * (expected - actual);
            power += expected * expected;
        }
    }

    [Theory, MemberData(nameof(DevicesAndModels))]
    public void Exact_hidden_states_of_all_layers(string device, string name)
    {
        using var model = new GoldenModel(name);
        using var on = TestDevices.Open(device);
        var config = model.File.Index.Config;
        for (int layers = 0; layers <= config.Layers; layers++)
        {
            using var runner = model.Runner(on, Numerics.Exact, out var loaded, layers);
            using var _ = loaded;
            var hidden = new float[config.Hidden];
            foreach (string sequence in model.Sequences)
            {
                int[] ids = model.Ints(sequence + ".ids");
                if (device == "reference" && ids.Length > 40) continue;
                float[] states = model.Floats(sequence + ".states"); // (layers + 2, hidden)
                GoldenModel.Feed(runner, ids, 37, (at, count) =>
                {
                    if (at + count == ids.Length) runner.ReadHidden(count - 1, hidden);
                });
                for (int c = 0; c < config.Hidden; c++)
                    Assert.True(Math.Abs(states[layers * config.Hidden + c] - hidden[c]) < 5e-4,
                        $"layer {layers}, column {c}: expected {states[layers * config.Hidden + c]}, actual {hidden[c]}");
                if (layers == config.Layers) SameVector(model, runner, sequence, ids, 1e-10);
            }
        }
    }

    /// <summary>The last token's state behind the final norm, 1 long, is the golden's within a square distance.</summary>
    static void SameVector(GoldenModel model, Runner runner, string sequence, int[] ids, double bound)
    {
        runner.Batch.Clear();
        runner.Batch.Add(ids[^1], 0, ids.Length - 1, wanted: true, state: true); // the others are in the cache
        runner.Run();
        float[] vector = Embedding.Of(runner, 0), golden = model.Floats(sequence + ".states")[^vector.Length..];
        double length = Math.Sqrt(golden.Sum(x => (double)x * x));
        Assert.Equal(1, vector.Sum(x => (double)x * x), 1e-6);
        double distance = golden.Zip(vector, (g, v) => Math.Pow(g / length - v, 2)).Sum();
        TestContext.Current.SendDiagnosticMessage($"{sequence}: square distance {distance:E2}");
        Assert.True(distance <= bound, $"{sequence}: square distance {distance:E2} of vectors 1 long");
    }

    [Theory, MemberData(nameof(DevicesAndModels))]
    public void Exact_greedy_continuations(string device, string name)
    {
        using var model = new GoldenModel(name);
        using var one = new OneSequence(model.FilePath, new ModelOptions { Device = TestDevices.Named(device), Numerics = Numerics.Exact });
        foreach (var greedy in model.Json.GetProperty("greedy").EnumerateArray())
        {
            int[] prompt = [.. greedy.GetProperty("prompt").EnumerateArray().Select(i => i.GetInt32())],
                expected = [.. greedy.GetProperty("tokens").EnumerateArray().Select(i => i.GetInt32())];
            if (device == "reference" && prompt.Length > 40) continue;
            Assert.Equal(expected, Greedy(one.Runner, prompt, expected.Length));
        }
    }

    /// <summary>Greedy ids; no stop tokens are honoured.</summary>
    static int[] Greedy(Runner runner, int[] prompt, int count)
    {
        var ids = new List<int>(prompt);
        int done = 0;
        while (ids.Count < prompt.Length + count)
        {
            runner.Batch.Clear();
            for (; done < ids.Count; done++) runner.Batch.Add(ids[done], 0, done, wanted: done == ids.Count - 1);
            runner.Run();
            ids.Add(runner.Candidates(0).Id(0));
        }
        return [.. ids[prompt.Length..]];
    }

    public static TheoryData<string, string> Trained()
    {
        var data = new TheoryData<string, string>();
        foreach (string device in TestDevices.ForModels)
            foreach (string model in new[] { "numbers-dense", "numbers-moe" }) data.Add(device, model);
        return data;
    }

    [Theory, MemberData(nameof(Trained))]
    public void Q8_fast_agrees_with_the_goldens_best_token_and_state(string device, string name)
    {
        using var model = new GoldenModel(name, DType.Q8);
        using var on = TestDevices.Open(device);
        using var runner = model.Runner(on, Numerics.Fast, out var loaded);
        using var _ = loaded;
        int same = 0, all = 0;
        foreach (string sequence in model.Sequences)
        {
            int[] ids = model.Ints(sequence + ".ids"), topIds = model.Ints(sequence + ".top_ids");
            GoldenModel.Feed(runner, ids, 37, (at, count) =>
            {
                for (int i = 0; i < count; i++, all++)
                    if (runner.Candidates(i).Id(0) == topIds[(at + i) * 8]) same++;
            });
            // A token near the edge between two experts may take the other one.
            SameVector(model, runner, sequence, ids, model.File.Index.Config.Moe is null ? 1e-3 : 1e-2);
        }
        TestContext.Current.SendDiagnosticMessage($"{name} q8 fast on {device}: {same} of {all} best tokens agree");
        Assert.True(same >= 0.985 * all, $"{same} of {all} best tokens agree");
    }
}
