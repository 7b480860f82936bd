using System.Text.Json;
using Tessera.Runtime.Models;
using Tessera.Runtime.Sampling;

namespace Tessera.Convert;

/// <summary>Reads config.json and generation_config.json in every spelling that transformers has used.</summary>
static class HfConfig
{
    public static (Qwen3Config Config, GenerationDefaults Generation, List<string> Notices) Read(HfFolder folder)
    {
        using var document = folder.Json("config.json") ?? throw new TesseraException($"{folder.At("config.json")}: is missing");
        var json = new HfJson(folder.At("config.json"), document.RootElement);
        var notices = new List<string>();
        var config = Config(json, notices);
        config.Check(json.Path);
        return (config, Generation(json, folder), notices);
    }

    static Qwen3Config Config(HfJson json, List<string> notices)
    {
        if (json.Object.ValueKind != JsonValueKind.Object) throw json.Wrong("expected a JSON object");
        string type = json.Text("model_type") ?? "", architecture = json.List("architectures") is [var first, ..] ? first.ToString() : "";
        if (!(type == "qwen3" && architecture is "" or "Qwen3ForCausalLM" || type == "qwen3_moe" && architecture is "" or "Qwen3MoeForCausalLM"))
            throw json.Wrong("expected architecture Qwen3ForCausalLM (model_type qwen3) or Qwen3MoeForCausalLM (model_type qwen3_moe), "
                + $"found {(architecture.Length > 0 ? architecture : "none")} (model_type {(type.Length > 0 ? type : "none")})");
        if (json.Text("hidden_act") is { } act && act != "silu") throw json.Wrong($"expected hidden_act silu, found {act}");
        if (json.Flag("use_sliding_window")) throw json.Wrong("expected full attention, found use_sliding_window true");
        foreach (var layer in json.List("layer_types"))
            if (layer.ToString() != "full_attention") throw json.Wrong($"expected layer_types full_attention, found {HfJson.Brief(layer)}");
        int heads = json.Int("num_attention_heads");
        int context = json.Int("max_position_embeddings");
        return new Qwen3Config
        {
            Hidden = json.Int("hidden_size"),
            Layers = json.Int("num_hidden_layers"),
            Heads = heads,
            KvHeads = json.Has("num_key_value_heads") ? json.Int("num_key_value_heads") : heads,
            HeadDim = json.Has("head_dim") ? json.Int("head_dim") : 128, // Qwen3Config's default, not hidden / heads
            Ffn = json.Int("intermediate_size"),
            Vocabulary = json.Int("vocab_size"),
            Eps = (float)(json.Number("rms_norm_eps") ?? 1e-6),
            Context = context,
            Tied = json.Flag("tie_word_embeddings"),
            AttentionBias = json.Flag("attention_bias"),
            Rope = Rope(json, context, notices),
            Moe = type == "qwen3_moe" ? Moe(json) : null,
        };
    }

    static MoeConfig Moe(HfJson json) => new(json.Int(json.Has("num_experts") ? "num_experts" : "num_local_experts"), json.Int("num_experts_per_tok"),
        json.Int("moe_intermediate_size"), json.Flag("norm_topk_prob"), json.Has("decoder_sparse_step") ? json.Int("decoder_sparse_step") : 1,
            json.Ids("mlp_only_layers"));

    static RopeConfig Rope(HfJson json, int context, List<string> notices)
    {
        // transformers 5 keeps all in rope_parameters; before, rope_theta stood beside rope_scaling.
        var inner = json.Inner("rope_parameters") ?? json.Inner("rope_scaling");
        double theta = inner?.Number("rope_theta") ?? json.Number("rope_theta") ?? 10000;
        if (inner is not { } scaling) return new RopeConfig(theta, null);
        string type = scaling.Text("rope_type") ?? scaling.Text("type") ?? "default";
        if (type == "default") return new RopeConfig(theta, null);
        if (type != "yarn") throw json.Wrong($"expected rope type default or yarn, found {type}");
        double factor = scaling.Number("factor") ?? throw json.Wrong("rope_scaling of type yarn lacks its factor");
        int? original = scaling.Has("original_max_position_embeddings") ? scaling.Int("original_max_position_embeddings") : null;
        if (original is { } o && Math.Abs(o * factor - context) > 0.5)
            notices.Add($"YaRN stretches {o} positions by {factor} to {o * factor}, but max_position_embeddings is {context}");
        var yarn = new YarnConfig(factor, original, scaling.Number("beta_fast") ?? 32, scaling.Number("beta_slow") ?? 1, scaling.Number("attention_factor"));
        return new RopeConfig(theta, yarn);
    }

    /// <summary>Without a generation_config.json an answer is greedy, and ends where config.json says.</summary>
    static GenerationDefaults Generation(HfJson config, HfFolder folder)
    {
        using var document = folder.Json("generation_config.json");
        if (document is null) return new GenerationDefaults { EndIds = config.Ids("eos_token_id") };
        var json = new HfJson(folder.At("generation_config.json"), document.RootElement);
        if (json.Object.ValueKind != JsonValueKind.Object) throw json.Wrong("expected a JSON object");
        var generation = new GenerationDefaults
        {
            DoSample = json.Flag("do_sample"),
            Temperature = (float)(json.Number("temperature") ?? 1),
            TopK = (int)Math.Max(0, json.Number("top_k") ?? 0), // -1 is written for all, too
            TopP = (float)(json.Number("top_p") ?? 1),
            MinP = (float)(json.Number("min_p") ?? 0),
            RepetitionPenalty = (float)(json.Number("repetition_penalty") ?? 1),
            EndIds = json.Has("eos_token_id") ? json.Ids("eos_token_id") : config.Ids("eos_token_id"),
        };
        generation.Check(json.Path);
        return generation;
    }
}
