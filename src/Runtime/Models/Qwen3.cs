using Tessera.Runtime.Cache;
using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>The model on one page: the order of ops in a step. Types, devices and sizes are decided where the tensors are made.</summary>
/// <remarks>
/// T tokens, D hidden, H heads, K kvHeads, d headDim, F ffn (an expert's where there are experts), k experts a token, S rows of which something is wanted,
/// V vocabulary.
/// </remarks>
public static class Qwen3
{
    public static void Forward(IRecorder gpu, Qwen3Config c, Qwen3Weights w, KvCache kv, LogitRules rules, StepInputs b, Activations a, RowResults wanted)
    {
        Layers(gpu, c, w, kv, b, a);
        gpu.Gather(a.X, b.Wanted, a.Last, b.WantedCount);                                                    // (S, D)
        if (wanted.HasFlag(RowResults.Logits)) Logits(gpu, c, w, rules, b, a);
        if (wanted.HasFlag(RowResults.States)) gpu.RmsNorm(a.Last, w.FinalNorm, a.States, c.Eps, b.WantedCount); // (S, D)
    }

    /// <summary>From tokens to the residual stream.</summary>
    static void Layers(IRecorder gpu, Qwen3Config c, Qwen3Weights w, KvCache kv, StepInputs b, Activations a)
    {
        float scale = 1 / MathF.Sqrt(c.HeadDim);
        gpu.Embed(b.Tokens, w.Embedding, a.X, b.Count);                                                      // (T, D)
        foreach (var layer in w.Layers)
        {
            // attention
            gpu.RmsNorm(a.X, layer.AttnNorm, a.Normed, c.Eps, b.Count);                                      // (T, D)
            gpu.MatMul(layer.Qkv, a.Normed, a.Qkv, layer.QkvBias, b.Count);                                  // (T, (H + 2K) · d)
            gpu.QkRope(a.Qkv, layer.QNorm, layer.KNorm, b.Rope, b.Slots, kv.Keys[layer.Index], kv.Values[layer.Index], c.Heads, c.KvHeads, c.Eps, b.Count);
            gpu.Attention(a.Qkv, kv.Keys[layer.Index], kv.Values[layer.Index], b.Blocks, b.Sequences, b.Positions, a.Partials, a.Attended, c.Heads, c.KvHeads,
                scale, b.Count);                                                                             // (T, H · d)
            gpu.MatMulAdd(layer.Out, a.Attended, a.X, layer.OutBias, b.Count);                               // (T, D), residual
            // feed-forward
            if (layer.Experts is { } moe)
            {
                gpu.Router(a.X, layer.FfnNorm, moe.Router, a.Normed, a.RouterLogits, a.Chosen, a.Shares, c.Eps, moe.Config.Renormalise, b.Count);
                gpu.Group(a.Chosen, a.Order, a.Groups, moe.Config.Experts, b.Count);
                gpu.ExpertGateUp(moe.GateUp, a.Normed, a.Order, a.Groups, a.ExpertGated);                    // (T · k, F)
                gpu.ExpertDown(moe.Down, a.ExpertGated, a.Order, a.Groups, a.ExpertOut);                     // (T · k, D)
                gpu.Combine(a.ExpertOut, a.Shares, a.X, b.Count);                                            // (T, D), residual
                continue;
            }
            gpu.RmsNorm(a.X, layer.FfnNorm, a.Normed, c.Eps, b.Count);                                       // (T, D)
            gpu.GateUp(layer.GateUp, a.Normed, a.Gated, b.Count);                                            // (T, F)
            gpu.MatMulAdd(layer.Down, a.Gated, a.X, Tensor.None, b.Count);                                   // (T, D), residual
        }
    }

    /// <summary>The head: logits of the wanted rows, and the best of them.</summary>
    static void Logits(IRecorder gpu, Qwen3Config c, Qwen3Weights w, LogitRules rules, StepInputs b, Activations a)
    {
        gpu.RmsNorm(a.Last, w.FinalNorm, a.LastNormed, c.Eps, b.WantedCount);                                // (S, D)
        gpu.MatMul(w.Head, a.LastNormed, a.Logits, Tensor.None, b.WantedCount);                              // (S, V)
        gpu.Candidates(a.Logits, b.RealIds, b.Rules, rules.Masks, rules.Edits, a.SliceBest, a.SliceSums, b.WantedCount);
        gpu.MergeCandidates(a.SliceBest, a.SliceSums, a.Best, a.Raw, a.Stats, b.WantedCount);                // (S, 64)
    }
}
