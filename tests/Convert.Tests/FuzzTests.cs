using System.Text;
using System.Text.Json.Nodes;
using Tessera.Testing;
using Tessera.Runtime.Files;
using Tessera.Runtime.Sampling;
using Tessera.Shaders;
using Xunit;

namespace Tessera.Convert.Tests;

/// <summary>
/// Damaged and invented files, from a fixed seed: each is used or refused in one line, and nothing else ever happens. What converts loads and computes.
/// </summary>
public sealed class FuzzTests : IDisposable
{
    readonly HfMaker maker = new();

    public void Dispose() => maker.Dispose();

    [Fact]
    public void Headers() => RunHeaders(400, seed: 1);

    [Fact, Trait("set", "all")]
    public void Headers_in_thousands() => RunHeaders(3000, seed: 2);

    [Fact]
    public void Configs() => RunConfigs(400, seed: 1);

    [Fact, Trait("set", "all")]
    public void Configs_in_thousands() => RunConfigs(4000, seed: 2);

    [Fact]
    public void Models_of_random_sizes() => RunModels(30, seed: 1);

    [Fact, Trait("set", "all")]
    public void A_hundred_models_of_random_sizes() => RunModels(100, seed: 2);

    [Fact]
    public void Tiled_files() => RunFiles(460, seed: 1);

    [Fact, Trait("set", "all")]
    public void Tiled_files_in_thousands() => RunFiles(4600, seed: 2);

    [Fact]
    public void Conversions_are_verified_twice() => RunConversions(4, seed: 1);

    [Fact, Trait("set", "all")]
    public void Forty_conversions_are_verified_twice() => RunConversions(40, seed: 2);

    /// <summary>Runs what a file is good for; false where it is refused, in one line.</summary>
    static bool Accepts(Action use)
    {
        try
        {
            use();
            return true;
        }
        catch (TesseraException e)
        {
            Assert.InRange(e.Message.Length, 10, 1000);
            Assert.DoesNotContain(e.Message, char.IsControl);
            return false;
        }
    }

    static T One<T>(Random random, params T[] of) => of[random.Next(of.Length)];

    /// <summary>A text with up to three places changed.</summary>
    static string Damaged(Random random, string text, string[] parts)
    {
        for (int edits = random.Next(1, 4); edits > 0; edits--)
        {
            int begin = random.Next(text.Length + 1), end = Math.Min(begin + random.Next(5), text.Length);
            text = text[..begin] + One(random, parts) + text[end..];
        }
        return text;
    }

    void RunHeaders(int count, int seed)
    {
        maker.Save();
        string path = Path.Combine(maker.Folder, "model.safetensors");
        byte[] whole = File.ReadAllBytes(path);
        string header = Encoding.UTF8.GetString(whole, 8, BitConverter.ToInt32(whole));
        byte[] data = whole[(8 + header.Length)..];
        string[] parts = ["-", "9", "[", "]", "{", "\"", "null", "1e99", "F32", "BF16", "I8", ",", ":", "\\u0000", "weight", "", "0", "\\ud800", "é",
            "9223372036854775807", "[[[[[[[[["];
        var random = new Random(seed);
        for (int i = 0; i < count; i++)
        {
            byte[] file = random.Next(8) switch
            {
                0 => HfMaker.Join(header, data,
                    One(random, random.Next(header.Length), random.NextInt64(), -random.NextInt64(), header.Length + random.Next(-9, 9))),
                1 => whole[..random.Next(whole.Length)],
                2 => [.. whole, .. new byte[random.Next(1, 9)]],
                3 => Flipped(random, whole, 8 + header.Length),
                _ => HfMaker.Join(Damaged(random, header, parts), data),
            };
            File.WriteAllBytes(path, file);
            Accepts(() => maker.Convert());
        }
    }

    static byte[] Flipped(Random random, byte[] whole, int within)
    {
        byte[] file = [.. whole];
        for (int flips = random.Next(1, 5); flips > 0; flips--) file[random.Next(within)] ^= (byte)(1 << random.Next(8));
        return file;
    }

    void RunConfigs(int count, int seed)
    {
        maker.Save();
        string path = Path.Combine(maker.Folder, "config.json"), generation = Path.Combine(maker.Folder, "generation_config.json");
        string[] keys = [.. maker.Config.Select(p => p.Key), "rope_scaling", "rope_parameters", "layer_types", "attention_bias", "eos_token_id",
            "use_sliding_window", "num_experts", "mlp_only_layers"];
        string[] values =
        [
            "null", "-1", "0", "1", "1e300", "1e-46", "2.5", "\"x\"", "[]", "[null]", "{}", "true", "false", "99999999999", "[1,2,3,4,5]", "\"true\"", "128",
            "5", "1e999",
            """{"rope_type": "yarn"}""", """{"rope_type": "yarn", "factor": -3}""", """{"type": "linear", "factor": 2}""",
            """{"rope_type": "yarn", "factor": 4, "beta_fast": 1e300}""",
            """{"rope_type": "yarn", "factor": 1024, "original_max_position_embeddings": 1, "beta_slow": 1e-300}""",
            """{"rope_type": "yarn", "factor": 2, "attention_factor": 1e300}""",
            """{"rope_type": "yarn", "factor": 2, "attention_factor": 1e-300}""", """{"rope_type": "default", "rope_theta": 1.0000001}""",
        ];
        string[] defaults = ["do_sample", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "eos_token_id"];
        var random = new Random(seed);
        int loaded = 0;
        for (int i = 0; i < count; i++)
        {
            var config = maker.Config.DeepClone().AsObject();
            for (int edits = random.Next(0, 3); edits > 0; edits--)
                if (random.Next(8) == 0) config.Remove(One(random, keys));
                else Set(config, One(random, keys), One(random, values));
            var sampling = new JsonObject();
            for (int edits = random.Next(0, 3); edits > 0; edits--) Set(sampling, One(random, defaults), One(random, values));
            File.WriteAllText(path, config.ToJsonString().Replace("\"1e999\"", "1e999"));
            File.WriteAllText(generation, sampling.ToJsonString().Replace("\"1e999\"", "1e999"));
            if (!Accepts(() => maker.Convert())) continue;
            Compute(maker.Out, "host");
            loaded++;
        }
        Assert.InRange(loaded, count / 20, count / 2);

        static void Set(JsonObject to, string key, string value) => to[key] = value == "1e999" ? JsonValue.Create(value) : JsonNode.Parse(value);
    }

    static void Compute(string path, string device)
    {
        using var one = new OneSequence(path, new ModelOptions { Device = device, Context = 1 });
        one.Take([0], SamplingOptions.Greedy, 1);
        Assert.All(one.Logits(), logit => Assert.True(float.IsFinite(logit)));
    }

    /// <summary>Sizes that few models have, whole folders of them: whatever the converter takes, loads and gives finite logits.</summary>
    void RunModels(int count, int seed)
    {
        var random = new Random(seed);
        int loaded = 0;
        for (int i = 0; i < count; i++)
        {
            using var model = new HfMaker(One(random, "BF16", "F16", "F32"));
            foreach (var (key, value) in new (string, JsonNode)[]
                {
                    ("hidden_size", One(random, 32, 64, 96, 48, 160)), ("num_hidden_layers", random.Next(1, 4)),
                    ("num_attention_heads", One(random, 1, 2, 3, 4, 6, 7)),
                    ("num_key_value_heads", One(random, 1, 1, 2, 3)), ("head_dim", One(random, 32, 64, 128, 256, 16)),
                    ("intermediate_size", random.Next(1, 70)),
                    ("vocab_size", random.Next(1, 300)), ("rms_norm_eps", One(random, 1e-6, 0.5, 1e-30, 1e-46, 2)),
                    ("max_position_embeddings", One(random, 1, 7, 512, 1 << 24)),
                    ("rope_theta", One(random, 1.5, 10000, 1e11, 1e13)), ("tie_word_embeddings", random.Next(2) == 0),
                }) model.Config[key] = value;
            if (random.Next(3) == 0)
                model.Config["rope_scaling"] = new JsonObject
                {
                    ["rope_type"] = "yarn", ["factor"] = One(random, 1, 2, 1024, 0.5), ["original_max_position_embeddings"] = One(random, 1, 512, int.MaxValue),
                    ["beta_fast"] = One(random, 32, 1e6, 1e-9), ["beta_slow"] = One(random, 1, 1e6, 1e-9),
                    ["attention_factor"] = One(random, 1, 1e-300, 99, 101),
                };
            model.Fill(random.Next()).Save(shards: random.Next(1, 4), padding: random.Next(4));
            if (!Accepts(() => model.Convert(One<DType?>(random, null, DType.Q8, DType.F16, DType.F32)))) continue;
            foreach (string device in new[] { "host", "reference" }) Compute(model.Out, device);
            loaded++;
        }
        Assert.InRange(loaded, count / 10, count);
    }

    void RunFiles(int count, int seed)
    {
        maker.Save().Convert(DType.Q8);
        byte[] whole = File.ReadAllBytes(maker.Out);
        string index = TiledBytes.Index(whole);
        int end = TiledBytes.IndexOffset(whole);
        string[] values = ["-1", "0", "1", "2147483647", "9223372036854775807", "null", "\"x\"", "1e9", "{}", "[]", "1e999", "4096", "true", "\"bytes\"",
            "\"vector\"", "\"tokenizer\""];
        string[] parts = ["-", "9", "[", "]", "{", "}", "\"", "null", ",", ":", "\\u001b", "tokenizer", "chat_template", "", "f32"];
        var places = new List<(int At, int Length)>();
        for (int at = 0; at < index.Length; at++)
            if (index[at] == ':' && index[at + 1] is not ('{' or '[')) places.Add((at + 1, index.AsSpan(at + 1).IndexOfAny(",}")));
        var random = new Random(seed);
        for (int i = 0; i < count; i++)
        {
            byte[] file = random.Next(10) switch
            {
                0 => whole[..random.Next(whole.Length)],
                1 => [.. whole, .. new byte[random.Next(1, 5000)]],
                2 => TiledBytes.WithHeaderHash(Flipped(random, whole, 56)),
                3 => Flipped(random, whole, whole.Length),
                4 => Invented(random),
                5 => TiledBytes.WithIndex(whole, Damaged(random, index, parts)),
                _ => TiledBytes.WithIndex(whole, Lie()),
            };
            File.WriteAllBytes(maker.Out, file);
            Accepts(() =>
            {
                using (var tiled = TiledFile.Open(maker.Out)) _ = tiled.Corrupted().Count();
                using var one = new OneSequence(maker.Out, new ModelOptions { Device = "host", Context = 16 });
                one.Take([1, 2], SamplingOptions.Greedy, 1);
            });
        }

        string Lie()
        {
            string text = index;
            foreach (var (at, length) in Enumerable.Range(0, random.Next(1, 3)).Select(_ => places[random.Next(places.Count)]).Distinct().OrderDescending())
                text = text.Remove(at, length).Insert(at, One(random, values));
            return text;
        }

        static byte[] Invented(Random random)
        {
            var file = new byte[random.Next(9000)];
            random.NextBytes(file);
            "TESSERA\u001a\u0001\0\0\0"u8[..Math.Min(12, file.Length)].CopyTo(file);
            return file.Length < 64 ? file : TiledBytes.WithHeaderHash(file);
        }
    }

    /// <summary>Against its hashes and against its folder, however it was made.</summary>
    void RunConversions(int count, int seed)
    {
        var random = new Random(seed);
        for (int i = 0; i < count; i++)
        {
            using var model = new HfMaker(One(random, "BF16", "F16", "F32"), random.Next());
            if (random.Next(2) == 0) model.WithExperts(random.Next(1, 9), 1, equal: false, fused: random.Next(2) == 0);
            else if (random.Next(2) == 0) model.WithTokenizer("{{ messages[0].content }}");
            model.Save(shards: random.Next(1, 5), padding: random.Next(4))
                .Convert(One<DType?>(random, null, DType.Q8, DType.F16, DType.F32), threads: random.Next(4));
            using var folder = new HfFolder(model.Folder);
            using var file = TiledFile.Open(model.Out);
            Assert.Empty(file.Corrupted());
            var comparison = new Comparison(file, folder);
            comparison.Run(_ => { }, TestContext.Current.CancellationToken);
            Assert.Empty(comparison.Differences);
        }
    }
}
