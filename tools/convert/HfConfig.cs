using System.Text.Json;
using Tessera.Runtime.Models;
using Tessera.Runtime.Sampling;
using Tessera.Shaders;

namespace Tessera.Convert;

/// <summary>Reads config.json and generation_config.json in every spelling that transformers has used.</summary>
public sealed class HfConfig
{
    readonly JsonElement json;
    readonly string path;

    HfConfig(JsonElement json, string path) => (this.json, this.path) = (json, path);

    public static (Qwen3Config Config, GenerationDefaults Generation, List<string> Notices) Read(HfFolder folder)
    {
        string path = Path.Combine(folder.Folder, "config.json");
        using var document = folder.Json("config.json") ?? throw new TesseraException($"{path}: is missing");
        var reader = new HfConfig(document.RootElement, path);
        var notices = new List<string>();
        var config = reader.Config(notices);
        config.Check(path);
        return (config, reader.Generation(folder), notices);
    }

    Qwen3Config Config(List<string> notices)
    {
        if (json.ValueKind != JsonValueKind.Object) throw Wrong("expected a JSON object");
        string type = Text(json, "model_type") ?? "", architecture = json.TryGetProperty("architectures", out var list) && list.ValueKind == JsonValueKind.Array && list.GetArrayLength() > 0 ? list[0].ToString() : "";
        if (!(type == "qwen3" && architecture is "" or "Qwen3ForCausalLM" || type == "qwen3_moe" && architecture is "" or "Qwen3MoeForCausalLM"))
            throw Wrong($"expected architecture Qwen3ForCausalLM (model_type qwen3) or Qwen3MoeForCausalLM (model_type qwen3_moe), found {(architecture.Length > 0 ? architecture : "none")} (model_type {(type.Length > 0 ? type : "none")})");
        if (Text(json, "hidden_act") is { } act && act != "silu") throw Wrong($"expected hidden_act silu, found {act}");
        if (Flag(json, "use_sliding_window")) throw Wrong("expected full attention, found use_sliding_window true");
        if (json.TryGetProperty("layer_types", out var types) && types.ValueKind == JsonValueKind.Array)
            foreach (var layer in types.EnumerateArray())
                if (layer.ToString() != "full_attention") throw Wrong($"expected layer_types full_attention, found {layer}");
        int heads = Int(json, "num_attention_heads");
        int context = Int(json, "max_position_embeddings");
        return new Qwen3Config
        {
            Hidden = Int(json, "hidden_size"),
            Layers = Int(json, "num_hidden_layers"),
            Heads = heads,
            KvHeads = Has(json, "num_key_value_heads") ? Int(json, "num_key_value_heads") : heads,
            HeadDim = Has(json, "head_dim") ? Int(json, "head_dim") : 128, // Qwen3Config's default, not hidden / heads
            Ffn = Int(json, "intermediate_size"),
            Vocabulary = Int(json, "vocab_size"),
            Eps = (float)(Number(json, "rms_norm_eps") ?? 1e-6),
            Context = context,
            Tied = Flag(json, "tie_word_embeddings"),
            AttentionBias = Flag(json, "attention_bias"),
            Rope = Rope(context, notices),
            Moe = type == "qwen3_moe" ? Moe() : null,
        };
    }

    MoeConfig Moe() => new(Int(json, Has(json, "num_experts") ? "num_experts" : "num_local_experts"), Int(json, "num_experts_per_tok"), Int(json, "moe_intermediate_size"),
        Flag(json, "norm_topk_prob"), Has(json, "decoder_sparse_step") ? Int(json, "decoder_sparse_step") : 1, Has(json, "mlp_only_layers") ? Ids(json, "mlp_only_layers") : []);

    RopeConfig Rope(int context, List<string> notices)
    {
        // transformers 5 keeps all in rope_parameters; before, rope_theta stood beside rope_scaling.
        JsonElement scaling = default;
        bool scaled = (json.TryGetProperty("rope_parameters", out scaling) || json.TryGetProperty("rope_scaling", out scaling)) && scaling.ValueKind == JsonValueKind.Object;
        double theta = (scaled ? Number(scaling, "rope_theta") : null) ?? Number(json, "rope_theta") ?? 10000;
        string type = scaled ? Text(scaling, "rope_type") ?? Text(scaling, "type") ?? "default" : "default";
        if (type == "default") return new RopeConfig(theta, null);
        if (type != "yarn") throw Wrong($"expected rope type default or yarn, found {type}");
        double factor = Number(scaling, "factor") ?? throw Wrong("rope_scaling of type yarn lacks its factor");
        int? original = Has(scaling, "original_max_position_embeddings") ? Int(scaling, "original_max_position_embeddings") : null;
        if (original is { } o && Math.Abs(o * factor - context) > 0.5)
            notices.Add($"YaRN stretches {o} positions by {factor} to {o * factor}, but max_position_embeddings is {context}");
        return new RopeConfig(theta, new YarnConfig(factor, original, Number(scaling, "beta_fast") ?? 32, Number(scaling, "beta_slow") ?? 1, Number(scaling, "attention_factor")));
    }

    GenerationDefaults Generation(HfFolder folder)
    {
        using var document = folder.Json("generation_config.json");
        var generation = document?.RootElement ?? default;
        bool there = generation.ValueKind == JsonValueKind.Object;
        double? Of(string name) => there ? Number(generation, name) : null;
        var ends = there && Has(generation, "eos_token_id") ? Ids(generation, "eos_token_id") : Has(json, "eos_token_id") ? Ids(json, "eos_token_id") : [];
        return new GenerationDefaults
        {
            DoSample = there && Flag(generation, "do_sample"),
            Temperature = (float)(Of("temperature") ?? 1),
            TopK = (int)(Of("top_k") ?? 0),
            TopP = (float)(Of("top_p") ?? 1),
            MinP = (float)(Of("min_p") ?? 0),
            RepetitionPenalty = (float)(Of("repetition_penalty") ?? 1),
            EndIds = ends,
        };
    }

    int[] Ids(JsonElement from, string name)
    {
        var value = from.GetProperty(name);
        var ids = value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().ToArray() : [value];
        return [.. ids.Select(id => id.ValueKind == JsonValueKind.Number && id.TryGetInt32(out int n) && n >= 0 ? n : throw Wrong($"{name}: expected whole numbers, found {value}"))];
    }

    int Int(JsonElement from, string name)
    {
        if (!from.TryGetProperty(name, out var value)) throw Wrong($"{name} is missing");
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int n) && n > 0 ? n : throw Wrong($"{name}: expected a positive whole number, found {value}");
    }

    double? Number(JsonElement from, string name)
    {
        if (!Has(from, name)) return null;
        var value = from.GetProperty(name);
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double n) && double.IsFinite(n) ? n : throw Wrong($"{name}: expected a number, found {value}");
    }

    static string? Text(JsonElement from, string name) => from.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    static bool Flag(JsonElement from, string name) => from.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;

    static bool Has(JsonElement from, string name) => from.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null;

    TesseraException Wrong(string what) => new($"{path}: {what}");
}
