using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using Tessera.Shaders;
using Tessera.Testing;

namespace Tessera.Convert.Tests;

/// <summary>A small random model as a Hugging Face folder, in a temporary place, to be bent by tests before it is written.</summary>
sealed class HfMaker : IDisposable
{
    public HfMaker(string type = "BF16", int seed = 1)
    {
        Type = type;
        Directory.CreateDirectory(Folder);
        Config = JsonNode.Parse("""
            {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu", "hidden_size": 96, "num_hidden_layers": 2,
             "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 32, "intermediate_size": 37, "vocab_size": 301, "rms_norm_eps": 1e-6,
             "max_position_embeddings": 512, "rope_theta": 10000, "tie_word_embeddings": false, "torch_dtype": "bfloat16"}
            """)!.AsObject();
        Fill(seed);
    }

    /// <summary>Gives the tensors the shapes that the config asks for, dense, and random values.</summary>
    public HfMaker Fill(int seed = 1)
    {
        var random = new Random(seed);
        int Of(string key) => (int)Config[key]!;
        void Add(string name, params int[] shape) =>
            Tensors[name] = (shape, [.. Enumerable.Range(0, shape.Aggregate((a, b) => a * b)).Select(_ => Rounded((float)(random.NextDouble() * 2 - 1)))]);
        int hidden = Of("hidden_size"), dim = Of("head_dim"), q = Of("num_attention_heads") * dim, kv = Of("num_key_value_heads") * dim,
            ffn = Of("intermediate_size"), vocabulary = Of("vocab_size");
        Tensors.Clear();
        Add("model.embed_tokens.weight", vocabulary, hidden);
        for (int i = 0; i < Of("num_hidden_layers"); i++)
        {
            string at = $"model.layers.{i}.";
            Add(at + "input_layernorm.weight", hidden);
            Add(at + "self_attn.q_proj.weight", q, hidden);
            Add(at + "self_attn.k_proj.weight", kv, hidden);
            Add(at + "self_attn.v_proj.weight", kv, hidden);
            Add(at + "self_attn.q_norm.weight", dim);
            Add(at + "self_attn.k_norm.weight", dim);
            Add(at + "self_attn.o_proj.weight", hidden, q);
            Add(at + "post_attention_layernorm.weight", hidden);
            Add(at + "mlp.gate_proj.weight", ffn, hidden);
            Add(at + "mlp.up_proj.weight", ffn, hidden);
            Add(at + "mlp.down_proj.weight", hidden, ffn);
        }
        Add("model.norm.weight", hidden);
        Add("lm_head.weight", vocabulary, hidden);
        return this;
    }

    public string Folder { get; } = Path.Combine(Path.GetTempPath(), $"tessera-hf-{Guid.NewGuid():N}");
    public string Type { get; }
    public JsonObject Config { get; }
    public Dictionary<string, (int[] Shape, float[] Values)> Tensors { get; } = [];
    public string Out => Path.Combine(Folder, "made.tessera");

    /// <summary>A value that the folder's type holds exactly.</summary>
    float Rounded(float x) => Type switch
    {
        "BF16" => BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(x) & 0xffff0000),
        "F16" => (float)(Half)x,
        _ => x,
    };

    /// <summary>Makes the last layer a mixture of experts with as many equal copies of the dense feed-forward as asked, or random ones.</summary>
    public HfMaker WithExperts(int experts, int active, bool equal, bool fused = false)
    {
        Config["architectures"] = new JsonArray("Qwen3MoeForCausalLM");
        Config["model_type"] = "qwen3_moe";
        foreach (var (key, value) in new (string, JsonNode)[]
            {
                ("num_experts", experts), ("num_experts_per_tok", active), ("moe_intermediate_size", 37), ("norm_topk_prob", true),
                ("decoder_sparse_step", 2), ("mlp_only_layers", new JsonArray()),
            }) Config[key] = value;
        const string At = "model.layers.1.mlp.";
        var random = new Random(5);
        float[] Random(int count) => [.. Enumerable.Range(0, count).Select(_ => Rounded((float)(random.NextDouble() * 2 - 1)))];
        Tensors[At + "gate.weight"] = ([experts, 96], Random(experts * 96));
        var parts = new[] { "gate_proj", "up_proj", "down_proj" }.ToDictionary(p => p, p =>
            Enumerable.Range(0, experts).Select(_ => equal ? Tensors[$"{At}{p}.weight"].Values : Random(37 * 96)).ToList());
        foreach (string part in parts.Keys) Tensors.Remove($"{At}{part}.weight");
        if (fused)
        {
            Tensors[At + "experts.gate_up_proj"] = ([experts, 2 * 37, 96],
                [.. Enumerable.Range(0, experts).SelectMany(e => parts["gate_proj"][e].Concat(parts["up_proj"][e]))]);
            Tensors[At + "experts.down_proj"] = ([experts, 96, 37], [.. parts["down_proj"].SelectMany(d => d)]);
        }
        else
            for (int e = 0; e < experts; e++)
            {
                Tensors[$"{At}experts.{e}.gate_proj.weight"] = ([37, 96], parts["gate_proj"][e]);
                Tensors[$"{At}experts.{e}.up_proj.weight"] = ([37, 96], parts["up_proj"][e]);
                Tensors[$"{At}experts.{e}.down_proj.weight"] = ([96, 37], parts["down_proj"][e]);
            }
        return this;
    }

    /// <summary>Writes all files; the tensors in as many shards as asked, the header padded so that data need not be aligned.</summary>
    public HfMaker Save(int shards = 1, int padding = 0)
    {
        File.WriteAllText(Path.Combine(Folder, "config.json"), Config.ToJsonString());
        if (shards == 1)
        {
            File.WriteAllBytes(Path.Combine(Folder, "model.safetensors"), Safetensors(Tensors, padding));
            return this;
        }
        var map = new JsonObject();
        foreach (var (shard, i) in Tensors.Chunk((Tensors.Count + shards - 1) / shards).Select((tensors, i) => (tensors, i + 1)))
        {
            string name = $"model-{i:D5}-of-{shards:D5}.safetensors";
            File.WriteAllBytes(Path.Combine(Folder, name), Safetensors(shard.ToDictionary(), padding));
            foreach (var (tensor, _) in shard) map[tensor] = name;
        }
        File.WriteAllText(Path.Combine(Folder, "model.safetensors.index.json"),
            new JsonObject { ["metadata"] = new JsonObject(), ["weight_map"] = map }.ToJsonString());
        return this;
    }

    /// <summary>Writes all files, with an embedding of so many rows of zeros, tied to the head, that take no space on the disk.</summary>
    public HfMaker SaveWithEmptyEmbedding(int rows)
    {
        long rowBytes = 2L * (int)Config["hidden_size"]!;
        Config["vocab_size"] = rows;
        Config["tie_word_embeddings"] = true;
        Tensors.Remove("lm_head.weight");
        Tensors.Remove("model.embed_tokens.weight");
        Save(shards: 2);
        byte[] header = Join(
            $$"""{"model.embed_tokens.weight": {"dtype": "BF16", "shape": [{{rows}}, {{rowBytes / 2}}], "data_offsets": [0, {{rows * rowBytes}} ]} }""", []);
        using (var file = File.Create(Path.Combine(Folder, "model-00003-of-00003.safetensors")))
        {
            file.Write(header);
            file.SetLength(header.Length + rows * rowBytes);
        }
        string index = Path.Combine(Folder, "model.safetensors.index.json");
        File.WriteAllText(index, File.ReadAllText(index)
            .Replace("\"weight_map\":{", "\"weight_map\":{\"model.embed_tokens.weight\":\"model-00003-of-00003.safetensors\","));
        return this;
    }

    byte[] Safetensors(Dictionary<string, (int[] Shape, float[] Values)> tensors, int padding)
    {
        var header = new JsonObject { ["__metadata__"] = new JsonObject { ["format"] = "pt" } };
        using var data = new MemoryStream();
        foreach (var (name, (shape, values)) in tensors)
        {
            long begin = data.Length;
            foreach (float v in values)
                data.Write(Type switch
                {
                    "BF16" => BitConverter.GetBytes((ushort)(BitConverter.SingleToUInt32Bits(v) >> 16)),
                    "F16" => BitConverter.GetBytes((Half)v),
                    _ => BitConverter.GetBytes(v),
                });
            header[name] = new JsonObject { ["dtype"] = Type, ["shape"] = new JsonArray([.. shape.Select(s => (JsonNode)s)]),
                ["data_offsets"] = new JsonArray(begin, data.Length) };
        }
        return Join(header.ToJsonString() + new string(' ', padding), data.ToArray());
    }

    public static byte[] Join(string header, byte[] data, long? claimed = null)
    {
        byte[] text = Encoding.UTF8.GetBytes(header), length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, claimed ?? text.Length);
        return [.. length, .. text, .. data];
    }

    public void Convert(DType? type = null, int threads = 0, List<string>? notices = null, string? to = null)
    {
        using var folder = new HfFolder(Folder);
        var converter = new Converter(folder, threads: threads);
        converter.Write(to ?? Out, type);
        notices?.AddRange(converter.Notices);
    }

    public string Fails(DType? type = null) => Xunit.Assert.Throws<TesseraException>(() => Convert(type)).Message;

    /// <summary>The result of work that might wait for ever.</summary>
    public static string Ends(Func<string> work)
    {
        var task = Task.Run(work);
        Xunit.Assert.True(task.Wait(TimeSpan.FromSeconds(60)), "it waits for ever");
        return task.Result;
    }

    /// <summary>Gives the folder the committed small tokenizer, whose ids need a larger vocabulary.</summary>
    public HfMaker WithTokenizer(string? template = null)
    {
        Config["vocab_size"] = 2176;
        foreach (string name in new[] { "model.embed_tokens.weight", "lm_head.weight" }) Tensors[name] = ([2176, 96], new float[2176 * 96]);
        File.Copy(Repository.Golden("tokenizers/numbers/tokenizer.json"), Path.Combine(Folder, "tokenizer.json"));
        if (template is not null) File.WriteAllText(Path.Combine(Folder, "chat_template.jinja"), template);
        return this;
    }

    /// <summary>One of the values, drawn.</summary>
    public static Gen<T> One<T>(T[] of) => Gen.Int[0, of.Length - 1].Select(i => of[i]);

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
