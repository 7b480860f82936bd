using System.Text;
using System.Text.Json.Nodes;
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
        Assert.DoesNotContain(message, char.IsControl);
        Assert.InRange(message.Length, 1, 1000);
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
    [InlineData(
        "leave a gap", """{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "b": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]}}""")]
    [InlineData("overflows", """{"a": {"dtype": "F32", "shape": [2147483647, 2147483647, 2147483647], "data_offsets": [0, 4]}}""")]
    [InlineData("overflows", """{"a": {"dtype": "F32", "shape": [9223372036854775807], "data_offsets": [0, 4]}}""")]
    [InlineData("overflows", """{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}""")]
    [InlineData("do not lie within", """{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}""")]
    [InlineData("do not lie within", """{"a": {"dtype": "F32", "shape": [1], "data_offsets": [8, 4]}}""")]
    [InlineData("do not lie within", """{"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}""")]
    [InlineData("expected 8 bytes, found 12", """{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 12]}}""")]
    [InlineData("appears twice",
        """{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}""")]
    [InlineData("cannot be read", """{"a": {"dtype": "F32", "shape": [1], """)]
    [InlineData("tensor 'a': expected an object, found 5", """{"a": 5}""")]
    [InlineData("tensor 'a': expected a dtype, found", """{"a": {"dtype": 7, "shape": "x", "data_offsets": [0, 4]}}""")]
    [InlineData("tensor 'a': expected data_offsets of two whole numbers", """{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}}""")]
    [InlineData("tensor 'a': expected data_offsets of two whole numbers", """{"a": {"dtype": "F32", "shape": [1]}}""")]
    [InlineData("tensor 'a': expected a shape of whole numbers", """{"a": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]}}""")]
    [InlineData("its name holds control characters", """{"a\u001b[2J": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}""")]
    [InlineData("not a JSON object", "[1, 2]")]
    [InlineData("4 bytes lie behind the last tensor", """{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}""")]
    [InlineData("12 bytes lie behind the last tensor", "{}")]
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
    public void Any_damage_to_the_tokenizer_is_refused_or_harmless()
    {
        using var maker = new HfMaker().WithTokenizer().Save();
        string path = Path.Combine(maker.Folder, "tokenizer.json");
        string whole = File.ReadAllText(path);
        var json = JsonNode.Parse(whole)!.AsObject();
        string[] values = ["null", "-1", "5000", "\"x\"", "[]", "[null]", "{}", "true", "[[1,2]]", "[\"a b\"]", """[{"id": 3}]""",
            """[{"id": -7, "content": "x", "special": 4}]"""];
        string[] paths = ["normalizer", "pre_tokenizer", "pre_tokenizer.type", "pre_tokenizer.pretokenizers", "model", "model.type", "model.vocab",
            "model.merges", "model.byte_fallback", "added_tokens", "decoder"];
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
    [InlineData("tie_word_embeddings: expected true or false, found \"true\"", "tie_word_embeddings", "\"true\"")]
    [InlineData("attention_bias: expected true or false, found \"yes\"", "attention_bias", "\"yes\"")]
    [InlineData("attention_bias: expected true or false, found 1", "attention_bias", "1")]
    [InlineData("use_sliding_window: expected true or false, found []", "use_sliding_window", "[]")]
    [InlineData("hidden_act: expected a text, found 5", "hidden_act", "5")]
    [InlineData("model_type: expected a text, found {}", "model_type", "{}")]
    [InlineData("architectures: expected a list, found \"Qwen3ForCausalLM\"", "architectures", "\"Qwen3ForCausalLM\"")]
    [InlineData("layer_types: expected a list, found \"full_attention\"", "layer_types", "\"full_attention\"")]
    [InlineData("rope_scaling: expected an object, found 4", "rope_scaling", "4")]
    [InlineData("rope_type: expected a text, found 4", "rope_scaling", """{"rope_type": 4}""")]
    [InlineData("attention factor must be above 0 and at most 100", "rope_scaling", """{"rope_type": "yarn", "factor": 2, "attention_factor": 1e300}""")]
    [InlineData("lacks its factor", "rope_parameters", "null", "rope_scaling", """{"rope_type": "yarn"}""")]
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

    [Theory]
    [InlineData("generation_config.json: top-p must be above 0 and at most 1, found 7", """{"top_p": 7}""")]
    [InlineData("generation_config.json: temperature must be 0 to 100, found -1", """{"temperature": -1}""")]
    [InlineData("generation_config.json: temperature: expected a number, found \"hot\"", """{"temperature": "hot"}""")]
    [InlineData("generation_config.json: eos_token_id: expected whole numbers, found [1,-2]", """{"eos_token_id": [1,-2]}""")]
    [InlineData("generation_config.json: expected a JSON object", "[1]")]
    [InlineData("generation_config.json: do_sample: expected true or false, found \"true\"", """{"do_sample": "true"}""")]
    public void A_generation_config_out_of_range(string expected, string json) => Refused(expected, m =>
    {
        m.Save();
        File.WriteAllText(Path.Combine(m.Folder, "generation_config.json"), json);
    });

    [Theory]
    [InlineData("", """{"chat_template": [{"name": "default", "template": 5}]}""")]
    [InlineData("", """{"chat_template": "{% include 'other' %}"}""")]
    public void A_tokenizer_config_with_a_template_that_is_none(string expected, string json) => Refused("tokenizer_config.json: " + expected, m =>
    {
        m.WithTokenizer().Save();
        File.WriteAllText(Path.Combine(m.Folder, "tokenizer_config.json"), json);
    });

    [Fact]
    public void A_value_that_is_long_or_speaks_to_the_terminal_is_shown_in_one_short_line() =>
        Refused("hidden_size: expected a positive whole number, found", m =>
    {
        m.Config["hidden_size"] = "\u001b[2J\n" + new string('x', 100000);
        m.Save();
    });

    [Theory, InlineData("config.json", "qwen3"), InlineData("tokenizer.json", "NFC"), InlineData("tokenizer.json", "Isolated"),
        InlineData("tokenizer_config.json", "chat_template")]
    public void Text_that_is_no_Unicode(string file, string where)
    {
        foreach (byte[] text in new[] { "\\ud800"u8.ToArray(), [0xc3, (byte)'('], [0xff] })
            Refused(file + ": holds text that is not Unicode", m =>
            {
                m.WithTokenizer().Save();
                string path = Path.Combine(m.Folder, file);
                if (file == "tokenizer_config.json") File.WriteAllText(path, """{"chat_template": "x"}""");
                byte[] whole = File.ReadAllBytes(path);
                int at = whole.AsSpan().IndexOf(Encoding.UTF8.GetBytes(where)) + where.Length;
                File.WriteAllBytes(path, [.. whole[..at], .. text, .. whole[at..]]);
            });
    }

    [Fact]
    public void A_template_that_is_no_Unicode() => Refused("chat_template.jinja: holds text that is not Unicode", m =>
    {
        m.WithTokenizer().Save();
        File.WriteAllBytes(Path.Combine(m.Folder, "chat_template.jinja"), [(byte)'a', 0xff, (byte)'b']);
    });

    [Theory, InlineData("config.json"), InlineData("model.safetensors"), InlineData("tokenizer.json"), InlineData("generation_config.json")]
    public void A_pipe_in_place_of_a_file(string name)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "makes a pipe with a name");
        using var maker = new HfMaker().WithTokenizer().Save();
        string path = Path.Combine(maker.Folder, name);
        File.Delete(path);
        Assert.Equal(0, TargetTests.MakeFifo(path, 0x1b6));
        Assert.Equal($"{path}: expected a file, found a device, a pipe or a socket", HfMaker.Ends(() => maker.Fails()));
        File.Delete(path);
        File.CreateSymbolicLink(path, "/dev/zero");
        Assert.Equal($"{path}: expected a file, found a device, a pipe or a socket", maker.Fails());
        File.Delete(path);
        Directory.CreateDirectory(path);
        Assert.Equal($"{path}: expected a file, found a folder", maker.Fails());
    }

    [Fact]
    public void Unused_tensors_are_counted_where_they_are_many()
    {
        using var maker = new HfMaker();
        for (int i = 0; i < 3000; i++) maker.Tensors[$"extra.{i:D4}"] = ([1], [0]);
        var notices = new List<string>();
        maker.Save().Convert(notices: notices);
        notices.RemoveAll(n => !n.Contains("tensor"));
        Assert.Equal(11, notices.Count);
        Assert.Equal(("tensor 'extra.0000' is not used", "nor are 2990 other tensors"), (notices[0], notices[^1]));
    }

    [Theory]
    [InlineData("vocab: expected object, found []", "model.vocab", "[]")]
    [InlineData("merges: expected array, found nothing", "model.merges", null)]
    [InlineData("id of token '!': expected a whole number, found \"x\"", "model.vocab", """{"!": "x"}""")]
    [InlineData("added_tokens: expected array, found 5", "added_tokens", "5")]
    [InlineData("content: expected string, found nothing", "added_tokens", """[{"id": 3}]""")]
    [InlineData("pre_tokenizer: expected object, found true", "pre_tokenizer", "true")]
    [InlineData("normalizer: expected NFC, found nothing", "normalizer", "null")]
    public void A_tokenizer_whose_parts_are_of_the_wrong_kind(string expected, string at, string? value) => Refused("tokenizer.json: " + expected, m =>
    {
        m.WithTokenizer().Save();
        string path = Path.Combine(m.Folder, "tokenizer.json");
        var json = JsonNode.Parse(File.ReadAllText(path))!;
        string[] steps = at.Split('.');
        var parent = (steps.Length == 1 ? json : json[steps[0]]!).AsObject();
        parent.Remove(steps[^1]);
        if (value is not null) parent[steps[^1]] = JsonNode.Parse(value);
        File.WriteAllText(path, json.ToJsonString());
    });

    [Theory, InlineData("[\"a\"]"), InlineData("[]"), InlineData("[\"a\", \"b\", \"c\"]"), InlineData("\"a\""), InlineData("[\"a\", \"\"]")]
    public void A_merge_that_is_no_pair(string merge) => Refused("merge 0: expected two known tokens that make id 256, found", m =>
    {
        m.WithTokenizer().Save();
        string path = Path.Combine(m.Folder, "tokenizer.json");
        var json = JsonNode.Parse(File.ReadAllText(path))!;
        json["model"]!["merges"]!.AsArray()[0] = JsonNode.Parse(merge);
        File.WriteAllText(path, json.ToJsonString());
    });

    [Fact]
    public void A_tokenizer_of_another_kind() => Refused("normalizer: expected NFC, found NFKC", m =>
    {
        m.WithTokenizer().Save();
        string path = Path.Combine(m.Folder, "tokenizer.json");
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"NFC\"", "\"NFKC\""));
    });

    [Fact]
    public void Without_a_tokenizer_there_is_a_notice_and_chat_refuses_the_file()
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
        recent.Config["rope_parameters"] = JsonNode.Parse(
            """{"rope_type": "yarn", "rope_theta": 10000, "factor": 4.0, "original_max_position_embeddings": 128}""");
        recent.Save().Convert(DType.Q8);
        using TiledFile a = TiledFile.Open(old.Out), b = TiledFile.Open(recent.Out);
        Assert.Equal(a.Index.Config, b.Index.Config);
        Assert.NotNull(a.Index.Config.Rope.Yarn);
    }
}
