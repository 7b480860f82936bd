using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>The weights of a model on one device.</summary>
public sealed class Qwen3Weights
{
    public required Tensor Embedding { get; init; }      // (V, D) panels
    public required Tensor Head { get; init; }           // (V, D) panels; the embedding itself where they are tied
    public required Tensor FinalNorm { get; init; }      // (1, D) f32
    public required Qwen3Layer[] Layers { get; init; }

    /// <summary>Bytes that a decode step reads: all but the embedding's rows, which are gathered.</summary>
    public long StepBytes => Head.Bytes + Layers.Sum(l => l.Bytes);

    /// <summary>The type of most of the matrices, those of the feed-forward, as the closing line names it; see <see cref="Mixture"/>.</summary>
    public DType Type => Layers is [var first, ..] ? (first.Experts?.GateUp ?? first.GateUp).Type : Head.Type;

    /// <summary>Makes the weights of a model from its tensors' names; <paramref name="from"/> fetches each, of the shape it must have.</summary>
    public static Qwen3Weights From(Qwen3Config c, IWeightSource from)
    {
        var embedding = from.Matrix("embedding", c.Vocabulary, c.Hidden);
        return new Qwen3Weights
        {
            Embedding = embedding,
            Head = c.Tied ? embedding : from.Matrix("head", c.Vocabulary, c.Hidden),
            FinalNorm = from.Vector("final_norm", c.Hidden),
            Layers = [.. Enumerable.Range(0, c.Layers).Select(i => Qwen3Layer.From(c, i, from))],
        };
    }
}

/// <summary>Where weights come from: a file, or a generator.</summary>
public interface IWeightSource
{
    /// <summary>A matrix in panels; <paramref name="type"/>: the type it must have, or null for the model's.</summary>
    Tensor Matrix(string name, int rows, int cols, DType? type = null);

    /// <summary>One matrix for each expert.</summary>
    Tensor Experts(string name, int experts, int rows, int cols);

    Tensor Vector(string name, int cols);
}

/// <summary>One layer. Q, K and V are one matrix; gate and up are one, taking turns panel by panel.</summary>
public sealed class Qwen3Layer
{
    public required int Index { get; init; }
    public required Tensor AttnNorm { get; init; }       // (1, D)
    public required Tensor Qkv { get; init; }            // ((H + 2K) · d, D)
    public required Tensor QkvBias { get; init; }        // (1, (H + 2K) · d) or none
    public required Tensor QNorm { get; init; }          // (1, d)
    public required Tensor KNorm { get; init; }          // (1, d)
    public required Tensor Out { get; init; }            // (D, H · d)
    public required Tensor OutBias { get; init; }        // (1, D) or none
    public required Tensor FfnNorm { get; init; }        // (1, D)
    public required Tensor GateUp { get; init; }         // (2F, D); none where there are experts
    public required Tensor Down { get; init; }           // (D, F); none where there are experts
    public required Qwen3Experts? Experts { get; init; } // null: dense

    /// <summary>Bytes that a decode step of one token reads.</summary>
    public long Bytes => Qkv.Bytes + Out.Bytes + GateUp.Bytes + Down.Bytes + (Experts?.Bytes ?? 0);

    internal static Qwen3Layer From(Qwen3Config c, int i, IWeightSource from)
    {
        int qkv = (c.Heads + 2 * c.KvHeads) * c.HeadDim;
        bool moe = c.IsMoe(i);
        return new Qwen3Layer
        {
            Index = i,
            AttnNorm = from.Vector($"layers.{i}.attn_norm", c.Hidden),
            Qkv = from.Matrix($"layers.{i}.qkv", qkv, c.Hidden),
            QkvBias = c.AttentionBias ? from.Vector($"layers.{i}.qkv_bias", qkv) : Tensor.None,
            QNorm = from.Vector($"layers.{i}.q_norm", c.HeadDim),
            KNorm = from.Vector($"layers.{i}.k_norm", c.HeadDim),
            Out = from.Matrix($"layers.{i}.out", c.Hidden, c.Heads * c.HeadDim),
            OutBias = c.AttentionBias ? from.Vector($"layers.{i}.out_bias", c.Hidden) : Tensor.None,
            FfnNorm = from.Vector($"layers.{i}.ffn_norm", c.Hidden),
            GateUp = moe ? Tensor.None : from.Matrix($"layers.{i}.gate_up", GateUpOp.JoinedRows(c.Ffn), c.Hidden),
            Down = moe ? Tensor.None : from.Matrix($"layers.{i}.down", c.Hidden, c.Ffn),
            Experts = moe ? Qwen3Experts.From(c, c.Moe!, i, from) : null,
        };
    }
}

/// <summary>The experts of one layer.</summary>
public sealed class Qwen3Experts
{
    public required MoeConfig Config { get; init; }
    public required Tensor Router { get; init; }         // (E, D) f32
    public required Tensor GateUp { get; init; }         // E times (2F, D)
    public required Tensor Down { get; init; }           // E times (D, F)

    /// <summary>Bytes that one token reads: those of the experts it takes.</summary>
    public long Bytes => Router.Bytes + (GateUp.Bytes + Down.Bytes) / Config.Experts * Config.Active;

    internal static Qwen3Experts From(Qwen3Config c, MoeConfig moe, int i, IWeightSource from) => new()
    {
        Config = moe,
        Router = from.Matrix($"layers.{i}.router", moe.Experts, c.Hidden, DType.F32),
        GateUp = from.Experts($"layers.{i}.experts.gate_up", moe.Experts, GateUpOp.JoinedRows(moe.Ffn), c.Hidden),
        Down = from.Experts($"layers.{i}.experts.down", moe.Experts, c.Hidden, moe.Ffn),
    };
}
