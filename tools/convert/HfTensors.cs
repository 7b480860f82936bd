using Tessera.Runtime.Models;

namespace Tessera.Convert;

/// <summary>The one place that knows Hugging Face names: which tensors make up which segment.</summary>
public static class HfTensors
{
    public static IEnumerable<HfPlan> Plan(Qwen3Config c, HfFolder f)
    {
        int q = c.Heads * c.HeadDim, kv = c.KvHeads * c.HeadDim;
        yield return Stacked("embedding", f.Tensor("model.embed_tokens.weight", c.Vocabulary, c.Hidden));
        for (int i = 0; i < c.Layers; i++)
        {
            string to = $"layers.{i}.", from = $"model.layers.{i}.", attention = from + "self_attn.";
            yield return Vector(to + "attn_norm", f.Tensor(from + "input_layernorm.weight", c.Hidden));
            yield return Stacked(to + "qkv", f.Tensor(attention + "q_proj.weight", q, c.Hidden), f.Tensor(attention + "k_proj.weight", kv, c.Hidden),
                f.Tensor(attention + "v_proj.weight", kv, c.Hidden));
            if (c.AttentionBias) yield return Vector(to + "qkv_bias", f.Tensor(attention + "q_proj.bias", q), f.Tensor(attention + "k_proj.bias", kv),
                f.Tensor(attention + "v_proj.bias", kv));
            yield return Vector(to + "q_norm", f.Tensor(attention + "q_norm.weight", c.HeadDim));
            yield return Vector(to + "k_norm", f.Tensor(attention + "k_norm.weight", c.HeadDim));
            yield return Stacked(to + "out", f.Tensor(attention + "o_proj.weight", c.Hidden, q));
            if (c.AttentionBias) yield return Vector(to + "out_bias", f.Tensor(attention + "o_proj.bias", c.Hidden));
            yield return Vector(to + "ffn_norm", f.Tensor(from + "post_attention_layernorm.weight", c.Hidden));
            if (c.IsMoe(i))
            {
                yield return Stacked(to + "router", f.Tensor(from + "mlp.gate.weight", c.Moe!.Experts, c.Hidden)) with { FixedType = DType.F32 };
                yield return ExpertGateUp(to + "experts.gate_up", from + "mlp.experts.", c.Hidden, c.Moe, f);
                yield return ExpertDown(to + "experts.down", from + "mlp.experts.", c.Hidden, c.Moe, f);
                continue;
            }
            var gate = f.Tensor(from + "mlp.gate_proj.weight", c.Ffn, c.Hidden);
            yield return Checked(new(to + "gate_up", [HfRows.All(gate), HfRows.All(f.Tensor(from + "mlp.up_proj.weight", c.Ffn, c.Hidden))], Joined: true));
            yield return Stacked(to + "down", f.Tensor(from + "mlp.down_proj.weight", c.Hidden, c.Ffn));
        }
        yield return Vector("final_norm", f.Tensor("model.norm.weight", c.Hidden));
        if (!c.Tied) yield return Stacked("head", f.Tensor("lm_head.weight", c.Vocabulary, c.Hidden));
    }

    static HfPlan Stacked(string name, params HfTensor[] parts) => Checked(new(name, [.. parts.Select(HfRows.All)]));

    static HfPlan Vector(string name, params HfTensor[] parts) => Stacked(name, parts) with { Vector = true };

    /// <summary>An expert a tensor, or, as transformers 5 saves them, all in one (experts, 2 · ffn, hidden), gate before up.</summary>
    static HfPlan ExpertGateUp(string name, string from, int hidden, MoeConfig moe, HfFolder f)
    {
        var parts = new HfRows[2 * moe.Experts];
        var fused = f.Has(from + "gate_up_proj") ? f.Tensor(from + "gate_up_proj", moe.Experts, 2 * moe.Ffn, hidden) : null;
        for (int i = 0; i < parts.Length; i++)
            parts[i] = fused is not null ? new(fused, i * moe.Ffn, moe.Ffn)
                : HfRows.All(f.Tensor($"{from}{i / 2}.{(i % 2 == 0 ? "gate" : "up")}_proj.weight", moe.Ffn, hidden));
        return Checked(new(name, parts, Joined: true, Experts: moe.Experts));
    }

    static HfPlan ExpertDown(string name, string from, int hidden, MoeConfig moe, HfFolder f)
    {
        var parts = new HfRows[moe.Experts];
        var fused = f.Has(from + "down_proj") ? f.Tensor(from + "down_proj", moe.Experts, hidden, moe.Ffn) : null;
        for (int e = 0; e < parts.Length; e++)
            parts[e] = fused is not null ? new(fused, e * hidden, hidden) : HfRows.All(f.Tensor($"{from}{e}.down_proj.weight", hidden, moe.Ffn));
        return Checked(new(name, parts, Experts: moe.Experts));
    }

    /// <summary>Parts of one segment must have one type.</summary>
    static HfPlan Checked(HfPlan plan)
    {
        foreach (var (part, _, _) in plan.Parts)
            if (part.Type != plan.Type)
                throw new TesseraException(
                    $"{part.File}: tensor '{part.Name}': expected {plan.Type.Name()} like '{plan.Parts[0].Tensor.Name}', found {part.Type.Name()}");
        return plan;
    }
}
