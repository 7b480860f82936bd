using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using Tessera.Runtime.Files;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Convert.Tests;

/// <summary>Folders that are broken or mean harm: one line that says the file, what was expected and what was found; nothing is left behind.</summary>
public class HostileFolderTests
{
    static string Weights(HfMaker maker) => Path.Combine(maker.Folder, "model.safetensors");

    static void Refused(string expected, Action<HfMaker> bend, DType? type = DType.Q8)
    {
        using var maker = new HfMaker();
        bend(maker);
        string message = maker.Fails(type);
        Assert.Contains(expected, message);
        Assert.DoesNotContain('\n', message);
        Assert.False(File.Exists(maker.Out));
        Assert.Empty(Directory.EnumerateFiles(maker.Folder, "*.partial"));
    }

    [Theory, InlineData(3), InlineData(9), InlineData(500), InlineData(100000)]
    public void A_truncated_file(int bytes) => Refused("model.safetensors", m =>
    {
        m.Save();
        File.WriteAllBytes(Weights(m), File.ReadAllBytes(Weights(m))[..bytes]);
    });

    [Theory]
    [InlineData("overlap", """{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}""")]
    [InlineData("leave a gap", """{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "b": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]}}""")]
    [InlineData("overflows", """{"a": {"dtype": "F32", "shape": [2147483647, 2147483647, 2147483647], "data_offsets": [0, 4]}}""")]
    [InlineData("overflows", """{"a": {"dtype": "F32", "shape": [9223372036854775807], "data_offsets": [0, 4]}}""")]
    [InlineData("overflows", """{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}""")]
    [InlineData("do not lie within", """{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}""")]
    [InlineData("do not lie within", """{"a": {"dtype": "F32", "shape": [1], "data_offsets": [8, 4]}}""")]
    [InlineData("do not lie within", """{"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}""")]
    [InlineData("expected 8 bytes, found 12", """{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 12]}}""")]
    [InlineData("appears twice", """{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}""")]
    [InlineData("cannot be read", """{"a": {"dtype": "F32", "shape": [1], """)]
    [InlineData("cannot be read", """{"a": 5}""")]
    [InlineData("cannot be read", """{"a": {"dtype": 7, "shape": "x", "data_offsets": [0, 4]}}""")]
    [InlineData("cannot be read", """{"a": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]}}""")]
    [InlineData("not a JSON object", "[1, 2]")]
    public void A_header_that_lies(string expected, string header) => Refused(expected, m =>
    {
        m.Save();
        File.WriteAllBytes(Weights(m), HfMaker.Join(header, new byte[12]));
    });

    [Theory, InlineData(1L << 20), InlineData(long.MaxValue), InlineData(-1L)]
    public void A_header_longer_than_the_file(long claimed) => Refused("the header claims", m =>
    {
        m.Save();
        File.WriteAllBytes(Weights(m), HfMaker.Join("{}", new byte[12], claimed));
    });

    [Fact]
    public void Any_damage_to_a_header_is_told_or_harmless()
    {
        using var maker = new HfMaker().Save();
        byte[] whole = File.ReadAllBytes(Weights(maker));
        string header = Encoding.UTF8.GetString(whole, 8, BitConverter.ToInt32(whole));
        var pieces = new[] { "-", "9", "[", "]", "{", "\"", "null", "1e99", "F32", "BF16", "I8", ",", ":", "\\u0000", "weight", "" };
        Gen.Select(Gen.Int[0, header.Length - 1], Gen.Int[0, 4], HfMaker.One(pieces)).Array[1, 3].Sample(edits =>
        {
            string damaged = header;
            foreach (var (at, length, text) in edits)
            {
                int begin = Math.Min(at, damaged.Length), end = Math.Min(begin + length, damaged.Length);
                damaged = damaged[..begin] + text + damaged[end..];
            }
            File.WriteAllBytes(Weights(maker), HfMaker.Join(damaged, whole[(8 + header.Length)..]));
            try { maker.Convert(); }
            catch (TesseraException) { }
        }, iter: 400, threads: 1);
    }

    [Fact]
    public void Any_damage_to_the_config_is_told_or_harmless()
    {
        using var maker = new HfMaker().Save();
        string path = Path.Combine(maker.Folder, "config.json");
        string[] keys = [.. maker.Config.Select(p => p.Key), "rope_scaling", "rope_parameters", "layer_types", "attention_bias", "eos_token_id", "use_sliding_window"];
        string[] values = ["null", "-1", "0", "1e300", "2.5", "\"x\"", "[]", "[null]", "{}", "true", "99999999999", """{"rope_type": "yarn"}""", """{"rope_type": "yarn", "factor": -3}""", """{"type": "linear", "factor": 2}"""];
        Gen.Select(HfMaker.One(keys), HfMaker.One(values)).Array[1, 3].Sample(edits =>
        {
            var config = maker.Config.DeepClone().AsObject();
            foreach (var (key, value) in edits) config[key] = JsonNode.Parse(value);
            File.WriteAllText(path, config.ToJsonString());
            try { maker.Convert(); }
            catch (TesseraException) { }
        }, iter: 400, threads: 1);
    }

    [Fact]
    public void Any_damage_to_the_tokenizer_is_told_or_harmless()
    {
        using var maker = new HfMaker().WithTokenizer().Save();
        string path = Path.Combine(maker.Folder, "tokenizer.json");
        string whole = File.ReadAllText(path);
        var json = JsonNode.Parse(whole)!.AsObject();
        string[] values = ["null", "-1", "5000", "\"x\"", "[]", "[null]", "{}", "true", "[[1,2]]", "[\"a b\"]", """[{"id": 3}]""", """[{"id": -7, "content": "x", "special": 4}]"""];
        string[] paths = ["normalizer", "pre_tokenizer", "pre_tokenizer.type", "pre_tokenizer.pretokenizers", "model", "model.type", "model.vocab", "model.merges", "model.byte_fallback", "added_tokens", "decoder"];
        foreach (string at in paths)
            foreach (string value in values)
            {
                var damaged = json.DeepClone().AsObject();
                string[] steps = at.Split('.');
                var parent = steps.Length == 1 ? damaged : damaged[steps[0]]!.AsObject();
                parent[steps[^1]] = JsonNode.Parse(value);
                File.WriteAllText(path, damaged.ToJsonString());
                try { maker.Convert(); }
                catch (TesseraException e) { Assert.Contains("tokenizer", e.Message); }
            }
    }

    [Fact]
    public void A_wrong_type() => Refused("tensor 'model.layers.0.self_attn.q_proj.weight': expected type F32, BF16 or F16", m =>
    {
        m.Save();
        byte[] whole = File.ReadAllBytes(Weights(m));
        string header = Encoding.UTF8.GetString(whole, 8, BitConverter.ToInt32(whole));
        int at = header.IndexOf("BF16", header.IndexOf("0.self_attn.q_proj", StringComparison.Ordinal), StringComparison.Ordinal);
        File.WriteAllBytes(Weights(m), HfMaker.Join(header[..at] + "I16" + header[(at + 4)..], whole[(8 + header.Length)..]));
    });

    [Fact]
    public void A_wrong_shape() => Refused("tensor 'model.layers.1.mlp.down_proj.weight': expected shape (96, 37), found (37, 96)", m =>
    {
        m.Tensors["model.layers.1.mlp.down_proj.weight"] = ([37, 96], m.Tensors["model.layers.1.mlp.down_proj.weight"].Values);
        m.Save();
    });

    [Fact]
    public void A_missing_tensor() => Refused("tensor 'model.layers.1.self_attn.k_norm.weight' (32) is missing", m =>
    {
        m.Tensors.Remove("model.layers.1.self_attn.k_norm.weight");
        m.Save();
    });

    [Theory, InlineData(float.NaN, DType.F32), InlineData(float.PositiveInfinity, DType.Q8), InlineData(1e30f, DType.Q8), InlineData(70000f, DType.F16)]
    public void A_value_that_does_not_fit(float value, DType type) => Refused("'layers.0.down' holds a value that is not finite or too large", m =>
    {
        m.Tensors["model.layers.0.mlp.down_proj.weight"].Values[40] = value;
        m.Save();
    }, type);

    [Theory, InlineData("../model.safetensors"), InlineData("/etc/passwd"), InlineData(".."), InlineData("a\\\\b"), InlineData("")]
    public void A_shard_that_climbs_out(string shard) => Refused("expected the name of a file in this folder", m =>
    {
        m.Save(shards: 2);
        string index = Path.Combine(m.Folder, "model.safetensors.index.json");
        File.WriteAllText(index, File.ReadAllText(index).Replace("model-00002-of-00002.safetensors", shard));
    });

    [Fact]
    public void A_missing_shard() => Refused("is named in model.safetensors.index.json but missing", m =>
    {
        m.Save(shards: 2);
        File.Delete(Path.Combine(m.Folder, "model-00002-of-00002.safetensors"));
    });

    [Theory]
    [InlineData("found LlamaForCausalLM (model_type llama)", "architectures", """["LlamaForCausalLM"]""", "model_type", "\"llama\"")]
    [InlineData("found Qwen3MoeForCausalLM (model_type qwen3)", "architectures", """["Qwen3MoeForCausalLM"]""")]
    [InlineData("num_local_experts is missing", "architectures", """["Qwen3MoeForCausalLM"]""", "model_type", "\"qwen3_moe\"")]
    [InlineData("hidden_act silu, found gelu", "hidden_act", "\"gelu\"")]
    [InlineData("use_sliding_window", "use_sliding_window", "true")]
    [InlineData("layer_types full_attention", "layer_types", """["sliding_attention"]""")]
    [InlineData("rope type default or yarn, found linear", "rope_scaling", """{"type": "linear", "factor": 2}""")]
    [InlineData("lacks its factor", "rope_scaling", """{"rope_type": "yarn"}""")]
    [InlineData("hidden_size: expected a positive whole number", "hidden_size", "\"large\"")]
    [InlineData("num_hidden_layers is missing", "num_hidden_layers", null)]
    public void A_config_of_another_model(string expected, params string?[] edits) => Refused(expected, m =>
    {
        for (int i = 0; i < edits.Length; i += 2)
        {
            m.Config.Remove(edits[i]!);
            if (edits[i + 1] is { } value) m.Config[edits[i]!] = JsonNode.Parse(value);
        }
        m.Save();
    });

    [Theory]
    [InlineData("{% include 'other' %}", "include")]
    [InlineData("{{ messages | sha256 }}", "sha256")]
    [InlineData("{% for m in messages %}", "endfor")]
    public void A_template_outside_the_language(string template, string construct) => Refused(construct, m => m.WithTokenizer(template).Save());

    [Fact]
    public void A_tokenizer_of_another_kind() => Refused("normalizer: expected NFC, found NFKC", m =>
    {
        m.WithTokenizer().Save();
        string path = Path.Combine(m.Folder, "tokenizer.json");
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"NFC\"", "\"NFKC\""));
    });

    [Fact]
    public void No_tokenizer_is_told_and_chat_refuses_the_file()
    {
        using var maker = new HfMaker().Save();
        var notices = new List<string>();
        maker.Convert(DType.Q8, notices: notices);
        Assert.Contains(notices, n => n.Contains("there is no tokenizer.json"));
        var chat = Command.Run("Chat", "--device", "host", "--model", maker.Out, "hi");
        Assert.Equal(1, chat.ExitCode);
        Assert.Contains("holds no tokenizer", chat.Errors);
    }

    [Fact]
    public void Newer_spellings_of_the_config_say_the_same()
    {
        using var old = new HfMaker();
        old.Config["rope_scaling"] = JsonNode.Parse("""{"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}""");
        old.Save().Convert(DType.Q8);
        using var recent = new HfMaker();
        recent.Config.Remove("rope_theta");
        recent.Config.Remove("torch_dtype");
        recent.Config["dtype"] = "bfloat16";
        recent.Config["layer_types"] = JsonNode.Parse("""["full_attention", "full_attention"]""");
        recent.Config["rope_parameters"] = JsonNode.Parse("""{"rope_type": "yarn", "rope_theta": 10000, "factor": 4.0, "original_max_position_embeddings": 128}""");
        recent.Save().Convert(DType.Q8);
        using TiledFile a = TiledFile.Open(old.Out), b = TiledFile.Open(recent.Out);
        Assert.Equal(a.Index.Config, b.Index.Config);
        Assert.NotNull(a.Index.Config.Rope.Yarn);
    }
}
