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

    /// <summary>The type of the matrices, as the closing line names it.</summary>
    public DType Type => Head.Type;

    /// <summary>Makes the weights of a model from its tensors' names; <paramref name="panels"/> and <paramref name="vector"/> fetch one tensor of the shape it must have.</summary>
    public static Qwen3Weights From(Qwen3Config c, Func<string, int, int, Tensor> panels, Func<string, int, Tensor> vector)
    {
        var embedding = panels("embedding", c.Vocabulary, c.Hidden);
        return new Qwen3Weights
        {
            Embedding = embedding,
            Head = c.Tied ? embedding : panels("head", c.Vocabulary, c.Hidden),
            FinalNorm = vector("final_norm", c.Hidden),
            Layers = [.. Enumerable.Range(0, c.Layers).Select(i => Qwen3Layer.From(c, i, panels, vector))],
        };
    }
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
    public required Tensor GateUp { get; init; }         // (2F, D)
    public required Tensor Down { get; init; }           // (D, F)

    public long Bytes => Qkv.Bytes + Out.Bytes + GateUp.Bytes + Down.Bytes;

    internal static Qwen3Layer From(Qwen3Config c, int i, Func<string, int, int, Tensor> panels, Func<string, int, Tensor> vector)
    {
        int qkv = (c.Heads + 2 * c.KvHeads) * c.HeadDim;
        return new Qwen3Layer
        {
            Index = i,
            AttnNorm = vector($"layers.{i}.attn_norm", c.Hidden),
            Qkv = panels($"layers.{i}.qkv", qkv, c.Hidden),
            QkvBias = c.AttentionBias ? vector($"layers.{i}.qkv_bias", qkv) : Tensor.None,
            QNorm = vector($"layers.{i}.q_norm", c.HeadDim),
            KNorm = vector($"layers.{i}.k_norm", c.HeadDim),
            Out = panels($"layers.{i}.out", c.Hidden, c.Heads * c.HeadDim),
            OutBias = c.AttentionBias ? vector($"layers.{i}.out_bias", c.Hidden) : Tensor.None,
            FfnNorm = vector($"layers.{i}.ffn_norm", c.Hidden),
            GateUp = panels($"layers.{i}.gate_up", GateUpOp.JoinedRows(c.Ffn), c.Hidden),
            Down = panels($"layers.{i}.down", c.Hidden, c.Ffn),
        };
    }
}
