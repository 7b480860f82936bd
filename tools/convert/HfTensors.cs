using Tessera.Runtime.Models;
using Tessera.Shaders;

namespace Tessera.Convert;

/// <summary>A tensor of the tiled file, and where each of its rows comes from; 0 is a row of padding.</summary>
/// <param name="Experts">Not null: so many matrices, one behind the other.</param>
/// <param name="Own">The type it is stored in whatever the others are.</param>
public sealed record HfPlan(string Name, DType Type, int Cols, nint[] Rows, bool Vector, int? Experts = null, DType? Own = null)
{
    /// <summary>Rows of one matrix.</summary>
    public int RowsEach => Rows.Length / (Experts ?? 1);

    /// <summary>The pieces of a vector: address and elements.</summary>
    public IEnumerable<(nint At, int Count)> Parts() => Rows.Select(row => (row, Cols / Rows.Length));
}

/// <summary>The one place that knows Hugging Face names: which tensors make up which segment.</summary>
public static unsafe class HfTensors
{
    public static IEnumerable<HfPlan> Plan(Qwen3Config c, HfFolder f)
    {
        int q = c.Heads * c.HeadDim, kv = c.KvHeads * c.HeadDim;
        yield return Matrix("embedding", f.Tensor("model.embed_tokens.weight", c.Vocabulary, c.Hidden));
        for (int i = 0; i < c.Layers; i++)
        {
            string to = $"layers.{i}.", from = $"model.layers.{i}.";
            yield return VectorOf(to + "attn_norm", f.Tensor(from + "input_layernorm.weight", c.Hidden));
            yield return Matrix(to + "qkv", f.Tensor(from + "self_attn.q_proj.weight", q, c.Hidden), f.Tensor(from + "self_attn.k_proj.weight", kv, c.Hidden), f.Tensor(from + "self_attn.v_proj.weight", kv, c.Hidden));
            if (c.AttentionBias) yield return QkvBias(to, from, c, f);
            yield return VectorOf(to + "q_norm", f.Tensor(from + "self_attn.q_norm.weight", c.HeadDim));
            yield return VectorOf(to + "k_norm", f.Tensor(from + "self_attn.k_norm.weight", c.HeadDim));
            yield return Matrix(to + "out", f.Tensor(from + "self_attn.o_proj.weight", c.Hidden, q));
            if (c.AttentionBias) yield return VectorOf(to + "out_bias", f.Tensor(from + "self_attn.o_proj.bias", c.Hidden));
            yield return VectorOf(to + "ffn_norm", f.Tensor(from + "post_attention_layernorm.weight", c.Hidden));
            if (c.IsMoe(i))
            {
                yield return Matrix(to + "router", f.Tensor(from + "mlp.gate.weight", c.Moe!.Experts, c.Hidden)) with { Own = DType.F32 };
                yield return ExpertGateUp(to + "experts.gate_up", from + "mlp.experts.", c, c.Moe, f);
                yield return ExpertDown(to + "experts.down", from + "mlp.experts.", c, c.Moe, f);
                continue;
            }
            yield return GateUp(to + "gate_up", f.Tensor(from + "mlp.gate_proj.weight", c.Ffn, c.Hidden), f.Tensor(from + "mlp.up_proj.weight", c.Ffn, c.Hidden));
            yield return Matrix(to + "down", f.Tensor(from + "mlp.down_proj.weight", c.Hidden, c.Ffn));
        }
        yield return VectorOf("final_norm", f.Tensor("model.norm.weight", c.Hidden));
        if (!c.Tied) yield return Matrix("head", f.Tensor("lm_head.weight", c.Vocabulary, c.Hidden));
    }

    static HfPlan Matrix(string name, params HfTensor[] parts)
    {
        OneType(parts);
        return new(name, parts[0].Type, parts[0].Shape[1], [.. parts.SelectMany(part => Enumerable.Range(0, part.Shape[0]).Select(r => (nint)part.Row(r)))], false);
    }

    static HfPlan GateUp(string name, HfTensor gate, HfTensor up)
    {
        OneType(gate, up);
        return new(name, gate.Type, gate.Shape[1], Join(gate.Shape[0], n => (nint)gate.Row(n), n => (nint)up.Row(n)), false);
    }

    /// <summary>Rows of gate and up, taking turns panel by panel.</summary>
    static nint[] Join(int ffn, Func<int, nint> gate, Func<int, nint> up)
    {
        var rows = new nint[GateUpOp.JoinedRows(ffn)];
        for (int n = 0; n < ffn; n++)
        {
            rows[GateUpOp.GateRow(n)] = gate(n);
            rows[GateUpOp.GateRow(n) + Tile.Rows] = up(n);
        }
        return rows;
    }

    /// <summary>An expert a tensor, or, as transformers 5 saves them, all in one (experts, 2 · ffn, hidden), gate before up.</summary>
    static HfPlan ExpertGateUp(string name, string from, Qwen3Config c, MoeConfig moe, HfFolder f)
    {
        if (f.Has(from + "gate_up_proj"))
        {
            var all = f.Tensor(from + "gate_up_proj", moe.Experts, 2 * moe.Ffn, c.Hidden);
            return new(name, all.Type, c.Hidden, [.. Enumerable.Range(0, moe.Experts).SelectMany(e => Join(moe.Ffn, n => (nint)all.Row(2 * e * moe.Ffn + n), n => (nint)all.Row((2 * e + 1) * moe.Ffn + n)))], false, moe.Experts);
        }
        var pairs = Enumerable.Range(0, moe.Experts).Select(e => GateUp(name, f.Tensor($"{from}{e}.gate_proj.weight", moe.Ffn, c.Hidden), f.Tensor($"{from}{e}.up_proj.weight", moe.Ffn, c.Hidden))).ToList();
        return Joined(name, pairs, moe.Experts);
    }

    static HfPlan ExpertDown(string name, string from, Qwen3Config c, MoeConfig moe, HfFolder f)
    {
        if (f.Has(from + "down_proj"))
        {
            var all = f.Tensor(from + "down_proj", moe.Experts, c.Hidden, moe.Ffn);
            return new(name, all.Type, moe.Ffn, [.. Enumerable.Range(0, moe.Experts * c.Hidden).Select(r => (nint)all.Row(r))], false, moe.Experts);
        }
        return Joined(name, Enumerable.Range(0, moe.Experts).Select(e => Matrix(name, f.Tensor($"{from}{e}.down_proj.weight", c.Hidden, moe.Ffn))).ToList(), moe.Experts);
    }

    static HfPlan Joined(string name, List<HfPlan> parts, int experts)
    {
        foreach (var part in parts)
            if (part.Type != parts[0].Type) throw new TesseraException($"'{name}': expected all experts in {parts[0].Type.Name()}, found {part.Type.Name()}");
        return new(name, parts[0].Type, parts[0].Cols, [.. parts.SelectMany(p => p.Rows)], false, experts);
    }

    static HfPlan VectorOf(string name, HfTensor tensor) => new(name, tensor.Type, tensor.Shape[0], [tensor.Address], true);

    /// <summary>The biases of q, k and v as one vector, cut into parts of a head each.</summary>
    static HfPlan QkvBias(string to, string from, Qwen3Config c, HfFolder f)
    {
        int q = c.Heads * c.HeadDim, kv = c.KvHeads * c.HeadDim;
        HfTensor[] parts = [f.Tensor(from + "self_attn.q_proj.bias", q), f.Tensor(from + "self_attn.k_proj.bias", kv), f.Tensor(from + "self_attn.v_proj.bias", kv)];
        OneType(parts);
        return new(to + "qkv_bias", parts[0].Type, q + 2 * kv,
            [.. parts.SelectMany(p => Enumerable.Range(0, p.Shape[0] / c.HeadDim).Select(h => p.Address + h * c.HeadDim * p.Type.ElementBytes()))], true);
    }

    static void OneType(params HfTensor[] parts)
    {
        foreach (var part in parts)
            if (part.Type != parts[0].Type)
                throw new TesseraException($"{part.File}: tensor '{part.Name}': expected {parts[0].Type.Name()} like '{parts[0].Name}', found {part.Type.Name()}");
    }
}
