using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>The sizes of a Qwen3 model, as the tiled file carries them.</summary>
public sealed record Qwen3Config
{
    public required int Hidden { get; init; }
    public required int Layers { get; init; }
    public required int Heads { get; init; }
    public required int KvHeads { get; init; }
    public required int HeadDim { get; init; }
    public required int Ffn { get; init; }
    public required int Vocabulary { get; init; }
    public required float Eps { get; init; }

    /// <summary>Positions that the model was made for.</summary>
    public required int Context { get; init; }

    /// <summary>The head is the embedding.</summary>
    public required bool Tied { get; init; }

    public required bool AttentionBias { get; init; }
    public required RopeConfig Rope { get; init; }

    /// <summary>Null: all layers are dense.</summary>
    public MoeConfig? Moe { get; init; }

    /// <summary>Whether a layer's feed-forward is a mixture of experts.</summary>
    public bool IsMoe(int layer) => Moe is { } moe && (layer + 1) % moe.SparseStep == 0 && !moe.DenseLayers.Contains(layer);

    /// <summary>Refuses sizes that no model has, before anything is allocated for them.</summary>
    public void Check(string file)
    {
        void Require(bool met, string what, object found)
        {
            if (!met) throw new TesseraException($"{file}: {what}, found {found}");
        }
        Require(Hidden is > 0 and <= 65536 && Hidden % 32 == 0, "hidden size must be a multiple of 32 up to 65536", Hidden);
        Require(Layers is > 0 and <= 1024, "layers must be 1 to 1024", Layers);
        Require(Heads is > 0 and <= 1024, "attention heads must be 1 to 1024", Heads);
        Require(KvHeads > 0 && Heads % KvHeads == 0, $"key-value heads must divide the {Heads} attention heads", KvHeads);
        Require(HeadDim is > 0 and <= AttentionOp.MaxHeadDim && HeadDim % 32 == 0, $"head dimension must be a multiple of 32 up to {AttentionOp.MaxHeadDim}",
            HeadDim);
        Require(Ffn is > 0 and <= 1 << 20, "feed-forward size must be 1 to 1048576", Ffn);
        Require(Vocabulary is > 0 and <= 1 << 22, "vocabulary must be 1 to 4194304", Vocabulary);
        Require(Context is > 0 and <= 1 << 24, "positions must be 1 to 16777216", Context);
        Require(Eps is > 0 and < 1, "RMSNorm epsilon must be between 0 and 1", Eps);
        Require(Rope is { Theta: > 1 and < 1e12 }, "rope theta must be above 1", Rope?.Theta ?? 0);
        if (Moe is { } moe)
        {
            Require(moe.Experts is > 0 and <= RouterOp.MaxExperts, $"experts must be 1 to {RouterOp.MaxExperts}", moe.Experts);
            int active = Math.Min(moe.Experts, RouterOp.MaxPerToken);
            Require(moe.Active > 0 && moe.Active <= active, $"experts per token must be 1 to {active}", moe.Active);
            Require(moe.Ffn is > 0 and <= 1 << 20, "the experts' feed-forward size must be 1 to 1048576", moe.Ffn);
            Require(moe.SparseStep > 0, "decoder_sparse_step must be 1 or more", moe.SparseStep);
            Require(moe.DenseLayers is { } dense && dense.Length <= Layers, $"the dense layers must be a list of at most {Layers}",
                moe.DenseLayers?.Length ?? 0);
        }
        if (Rope!.Yarn is not { } yarn) return;
        Require(yarn is { Factor: >= 1 and <= 1024, BetaFast: > 0 and <= 1e6, BetaSlow: > 0 and <= 1e6, Original: null or > 0 },
            "YaRN wants a factor of 1 to 1024, betas above 0 to a million and positive positions", yarn);
        Require(yarn.AttentionFactor is null or > 0 and <= 100, "YaRN's attention factor must be above 0 and at most 100", yarn.AttentionFactor ?? 0);
    }
}

/// <summary>
/// Mixture of experts: how many, how many a token takes, their feed-forward size, whether the weights of those taken are divided by their sum, and which
/// layers have it.
/// </summary>
/// <param name="SparseStep">Every so manieth layer, from layer SparseStep - 1 on.</param>
/// <param name="DenseLayers">Layers that have none all the same.</param>
public sealed record MoeConfig(int Experts, int Active, int Ffn, bool Renormalise, int SparseStep, int[] DenseLayers);

/// <summary>Rotary embedding: the base, and YaRN's interpolation where it is asked for.</summary>
public sealed record RopeConfig(double Theta, YarnConfig? Yarn);

/// <summary>
/// YaRN over <paramref name="Original"/> positions (null: the model's context). <paramref name="AttentionFactor"/> null: 0.1 · ln(factor) + 1.
/// </summary>
public sealed record YarnConfig(double Factor, int? Original, double BetaFast, double BetaSlow, double? AttentionFactor);
