using System.Text.Json;
using Tessera.Runtime.Devices;
using Tessera.Runtime.Files;
using Tessera.Runtime.Models;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>What a model loses against its base, as <c>bench kld</c> tells it: the definition's numbers, and refusals in one line.</summary>
public sealed class KldTests(KldTests.Files files) : IClassFixture<KldTests.Files>
{
    const string Q8 = "models/numbers-dense.tessera";

    /// <summary>The trained model in F32, others, and files of tokens.</summary>
    public sealed class Files : IDisposable
    {
        readonly string folder = Directory.CreateTempSubdirectory("tessera-kld-").FullName;

        public Files()
        {
            string trained = Repository.Golden("models/numbers-dense"), other = Path.Combine(folder, "other");
            Convert(trained, Trained = Path.Combine(folder, "trained.tessera"));
            Convert(Repository.Golden("models/tiny-yarn"), Random = Path.Combine(folder, "random.tessera"));
            Directory.CreateDirectory(other);
            foreach (string file in Directory.EnumerateFiles(trained)) File.Copy(file, Path.Combine(other, Path.GetFileName(file)));
            string tokenizer = Path.Combine(other, "tokenizer.json");
            File.WriteAllText(tokenizer, File.ReadAllText(tokenizer).Replace("<|box_start|>", "<|box_open|>"));
            Convert(other, Other = Path.Combine(folder, "other.tessera"));
        }

        public string Trained { get; }

        /// <summary>A context of 256.</summary>
        public string Random { get; }

        /// <summary>The trained model with another tokenizer of as many ids.</summary>
        public string Other { get; }

        public string Write(string text)
        {
            string path = Path.Combine(folder, $"{Guid.NewGuid():N}.json");
            File.WriteAllText(path, text);
            return path;
        }

        static void Convert(string model, string path)
        {
            var run = Command.Run("Convert", model, "-o", path, "--dtype", "f32");
            Assert.True(run.ExitCode == 0, run.Errors);
        }

        public void Dispose() => Directory.Delete(folder, recursive: true);
    }

    static JsonElement Kld(params string[] arguments)
    {
        var run = Command.Run("Bench", ["kld", "--device", "host", "--json", .. arguments]);
        Assert.True(run.ExitCode == 0, run.Errors);
        return JsonDocument.Parse(Assert.Single(run.Output.TrimEnd().Split('\n'))).RootElement;
    }

    static double Number(JsonElement of, string name) => of.GetProperty(name).GetDouble();

    /// <summary>The first conversations of the trained model with its answers.</summary>
    static int[][] Conversations(int count) =>
    [
        .. JsonDocument.Parse(File.ReadAllText(Repository.Golden("models/numbers-dense/chat.json"))).RootElement.EnumerateArray().Take(count)
            .Select(c => (int[])[.. Ids(c, "prompt_ids"), .. Ids(c, "ids")]),
    ];

    static IEnumerable<int> Ids(JsonElement of, string name) => of.GetProperty(name).EnumerateArray().Select(i => i.GetInt32());

    [Fact]
    public void A_model_loses_nothing_against_itself()
    {
        var same = Kld("--model", Q8, "--against", Q8, "--numerics", "exact", "--tokens-file", files.Write("[[5, 6, 7], [], [8, 300]]"));
        Assert.Equal((5, 0, 0, 1), (Number(same, "positions"), Number(same, "kld_mean"), Number(same, "kld_p99"), Number(same, "same_best")));
        Assert.Equal(Number(same, "ppl_against"), Number(same, "ppl_model"));
        var one = Kld("--model", Q8, "--against", Q8, "--tokens-file", files.Write("[[5], [6]]")); // nothing follows
        Assert.Equal(JsonValueKind.Null, one.GetProperty("ppl_model").ValueKind);
    }

    [Theory]
    [InlineData("exact")]
    [InlineData("fast")]
    public void Figures_are_the_definitions(string numerics)
    {
        int[][] sequences = Conversations(3);
        double[][] p = Probabilities(files.Trained, Numerics.Exact, sequences),
            q = Probabilities(Q8, numerics == "fast" ? Numerics.Fast : Numerics.Exact, sequences);
        double[] divergences = [.. p.Zip(q, (a, b) => a.Zip(b, (x, y) => x > 0 ? x * Math.Log(x / y) : 0).Sum())];
        int[] next = [.. sequences.SelectMany(s => s.Skip(1).Append(-1))];
        double Perplexity(double[][] of) => Math.Pow(2, -of.Zip(next).Where(t => t.Second >= 0).Average(t => Math.Log2(t.First[t.Second])));
        var found = Kld("--model", Q8, "--against", files.Trained, "--numerics", numerics, "--tokens-file", files.Write(JsonSerializer.Serialize(sequences)));
        Assert.Equal(divergences.Length, found.GetProperty("positions").GetInt32());
        Assert.Equal(divergences.Average(), Number(found, "kld_mean"), 1e-9);
        Assert.Equal(divergences.Order().ElementAt((int)(.99 * divergences.Length)), Number(found, "kld_p99"), 1e-9);
        Assert.Equal(p.Zip(q).Count(t => Array.IndexOf(t.First, t.First.Max()) == Array.IndexOf(t.Second, t.Second.Max())) / (double)p.Length,
            Number(found, "same_best"), 1e-12);
        Assert.Equal(Perplexity(p), Number(found, "ppl_against"), 1e-6);
        Assert.Equal(Perplexity(q), Number(found, "ppl_model"), 1e-6);
        Assert.Equal(numerics, found.GetProperty("numerics").GetString());
        Assert.InRange(Number(found, "kld_mean"), 1e-6, 1e-3);
    }

    /// <summary>The probabilities of all ids at every position.</summary>
    static double[][] Probabilities(string path, Numerics numerics, int[][] sequences)
    {
        using var file = TiledFile.Open(Path.Combine(Repository.Root, path));
        using var device = DeviceCatalog.Open("host");
        using var loaded = LoadedModel.From(file, device);
        var config = file.Index.Config;
        using var runner = new Runner(device, config, loaded.Weights, numerics, config.Vocabulary,
            new BatchLimits(512, 512, 512 / KvBlock.Tokens, 1, 512 / KvBlock.Tokens, 0));
        runner.Cache.SetRuns();
        var all = new List<double[]>();
        foreach (int[] ids in sequences)
        {
            runner.Batch.Clear();
            for (int i = 0; i < ids.Length; i++) runner.Batch.Add(ids[i], 0, i, wanted: true);
            runner.Run();
            for (int i = 0; i < ids.Length; i++)
            {
                var logits = new float[config.Vocabulary];
                runner.ReadLogits(i, logits);
                double[] powers = [.. logits.Select(l => Math.Exp((double)l))];
                double total = powers.Sum();
                all.Add([.. powers.Select(v => v / total)]);
            }
        }
        return [.. all];
    }

    [Fact]
    public void Q8_loses_no_more_than_the_fields()
    {
        var found = Kld("--model", Q8, "--against", files.Trained, "--tokens-file", files.Write(JsonSerializer.Serialize(Golden("numbers-dense"))));
        Assert.Equal(519, found.GetProperty("positions").GetInt32());
        Assert.InRange(Number(found, "kld_mean"), 1e-5, 1.1 * 0.00020); // llama.cpp's q8_0 over the same tokens
        Assert.InRange(Number(found, "same_best"), 0.985, 1);
    }

    /// <summary>The sequences of a golden.safetensors.</summary>
    static int[][] Golden(string model)
    {
        byte[] bytes = File.ReadAllBytes(Repository.Golden($"models/{model}/golden.safetensors"));
        int start = 8 + (int)BitConverter.ToInt64(bytes);
        var header = JsonDocument.Parse(bytes.AsMemory(8, start - 8)).RootElement;
        return
        [
            .. header.EnumerateObject().Where(t => t.Name.EndsWith(".ids", StringComparison.Ordinal)).Select(t =>
            {
                int[] at = [.. t.Value.GetProperty("data_offsets").EnumerateArray().Select(o => o.GetInt32())];
                return System.Runtime.InteropServices.MemoryMarshal.Cast<byte, int>(bytes.AsSpan(start + at[0], at[1] - at[0])).ToArray();
            }),
        ];
    }

    [Fact]
    public void What_is_longer_than_the_context_is_cut_into_windows()
    {
        int[] ids = [.. Enumerable.Range(0, 600).Select(i => i * 37 % 200)];
        string long1 = files.Write(JsonSerializer.Serialize(new[] { ids })), cut = files.Write(JsonSerializer.Serialize(ids.Chunk(256)));
        var whole = Kld("--model", files.Random, "--against", files.Random, "--tokens-file", long1);
        Assert.Equal(600, whole.GetProperty("positions").GetInt32());
        Assert.Equal(Kld("--model", files.Random, "--against", files.Random, "--tokens-file", cut).GetRawText(), whole.GetRawText());
    }

    [Fact]
    public void A_text_is_encoded_by_the_models_tokenizer()
    {
        string text = Path.Combine(Repository.Root, "LICENSE");
        var run = Command.Run("Bench", "tokens", "--model", Q8, "--text", text, "--runs", "1", "--json");
        int tokens = JsonDocument.Parse(run.Output).RootElement.GetProperty("tokens").GetInt32();
        var found = Kld("--model", Q8, "--against", files.Trained, "--text", text);
        Assert.Equal(tokens, found.GetProperty("positions").GetInt32());
        var plain = Command.Run("Bench", "kld", "--device", "host", "--model", Q8, "--against", files.Trained, "--text", text);
        Assert.Matches(@"^numbers-dense\.tessera fast against trained\.tessera exact on host \(.+\): \d+ positions\n"
            + @"KLD mean [\d.e-]+ nats, 99th percentile [\d.e-]+; the same best token at [\d.]+ %\nperplexity [\d.]+, of the base [\d.]+\n$", plain.Output);
    }

    [Theory]
    [InlineData("[[5, 6, 7]", "expected [[id, ...], ...]")]
    [InlineData("[5, 6]", "expected [[id, ...], ...], found something else at $[0]")]
    [InlineData("[[5, 6.5]]", "found something else at $[0][1]")]
    [InlineData("[null]", "expected [[id, ...], ...], found null")]
    [InlineData("[[5, 2176]]", "expected ids from 0 to 2175, found 2176")]
    [InlineData("[[-1]]", "expected ids from 0 to 2175, found -1")]
    [InlineData("[[]]", "expected at least one token")]
    public void Tokens_that_are_none_are_refused(string text, string says) =>
        Refused(says, "--model", Q8, "--against", Q8, "--tokens-file", files.Write(text));

    [Fact]
    public void What_cannot_be_compared_is_refused()
    {
        string ids = files.Write("[[1, 2]]");
        Refused("expected --text FILE or --tokens-file IDS.json", "--model", Q8, "--against", Q8);
        Refused("expected --text FILE or --tokens-file IDS.json", "--model", Q8, "--against", Q8, "--tokens-file", ids, "--text", "LICENSE");
        Refused("--against: expected a .tessera file", "--model", Q8, "--tokens-file", ids);
        Refused("--model: expected a .tessera file", "--against", Q8, "--tokens-file", ids);
        Refused("there is no such file", "--model", Q8, "--against", Q8, "--tokens-file", "nowhere.json");
        Refused("expected a vocabulary of", "--model", Q8, "--against", files.Random, "--tokens-file", ids);
        Refused("expected the tokenizer of", "--model", files.Other, "--against", Q8, "--tokens-file", ids);
        Refused("holds no tokenizer", "--model", files.Random, "--against", files.Random, "--text", "LICENSE");
    }

    static void Refused(string says, params string[] arguments)
    {
        var run = Command.Run("Bench", ["kld", "--device", "host", .. arguments]);
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Contains(says, Assert.Single(run.Errors.TrimEnd().Split('\n')));
    }
}
