using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>Every buffer of a forward pass, for one bucket of T tokens and S wanted rows. All buckets are views of the same memory.</summary>
public sealed class Activations
{
    public required Tensor X { get; init; }              // (T, D) f32, the residual stream
    public required Tensor Normed { get; init; }         // (T, D) f32 or a8
    public required Tensor Qkv { get; init; }            // (T, (H + 2K) · d) f32
    public required Tensor Partials { get; init; }       // (T · H · splits, d + 2) f32, of attention; none where T is enough work
    public required Tensor Attended { get; init; }       // (T, H · d) f32 or a8
    public required Tensor Gated { get; init; }          // (T, F) f32 or a8
    public required Tensor RouterLogits { get; init; }   // (T, E) f32; this and the next six are none without experts
    public required Tensor Chosen { get; init; }         // (T, k) i32, the experts of each token
    public required Tensor Shares { get; init; }         // (T, k) f32, their weights
    public required Tensor Order { get; init; }          // (1, T · k) i32
    public required Tensor Groups { get; init; }         // (1, Size) i32
    public required Tensor ExpertGated { get; init; }    // (T · k, F) f32 or a8
    public required Tensor ExpertOut { get; init; }      // (T · k, D) f32
    public required Tensor Last { get; init; }           // (S, D) f32
    public required Tensor LastNormed { get; init; }     // (S, D) f32 or a8
    public required Tensor Logits { get; init; }         // (S, V) f32
    public required Tensor States { get; init; }         // (S, D) f32, behind the final norm
    public required Tensor SliceBest { get; init; }      // (S, 192 · slices) i32
    public required Tensor SliceSums { get; init; }      // (S, 4 · slices) f32
    public required Tensor Best { get; init; }           // (S, 128) i32
    public required Tensor Raw { get; init; }            // (S, 64) f32
    public required Tensor Stats { get; init; }          // (S, 4) f32

    /// <summary>Bytes for any bucket, results apart: the largest, or the largest with partials.</summary>
    public static long Bytes(Qwen3Config c, DType matrices, Numerics numerics, BatchLimits limits)
    {
        return Math.Max(Of(limits.Tokens), Of(Math.Min(limits.Tokens, AttentionOp.MaxSplitRows)));

        long Of(int tokens)
        {
            var sizes = new Arena(null);
            Make(c, matrices, numerics, limits.BlocksPerSequence, tokens, limits.Wanted, sizes, new Arena(null));
            return sizes.Used;
        }
    }

    /// <summary>
    /// Buffers of a bucket within <paramref name="memory"/>, which holds <see cref="Bytes"/> of the largest; what the host reads after every step lies
    /// in <paramref name="results"/>.
    /// </summary>
    internal static Activations In(DeviceMemory memory, Arena results, Qwen3Config c, DType matrices, Numerics numerics, int maxBlocks, int tokens,
        int wanted) => Make(c, matrices, numerics, maxBlocks, tokens, wanted, new Arena(memory), results);

    static Activations Make(Qwen3Config c, DType matrices, Numerics numerics, int maxBlocks, int tokens, int wanted, Arena at, Arena results)
    {
        var reduced = numerics.ActivationFor(matrices);
        int pairs = tokens * (c.Moe?.Active ?? 0), slices = CandidatesOp.Slices(c.Vocabulary);
        var (best, raw, stats) = ResultsIn(results, wanted);
        return new Activations
        {
            X = at.Rows(DType.F32, tokens, c.Hidden),
            Normed = at.Rows(reduced, tokens, c.Hidden),
            Qkv = at.Rows(DType.F32, tokens, (c.Heads + 2 * c.KvHeads) * c.HeadDim),
            Partials = tokens <= AttentionOp.MaxSplitRows ? at.Packed(DType.F32, tokens * c.Heads * AttentionOp.Splits(maxBlocks), c.HeadDim + 2) : Tensor.None,
            Attended = at.Rows(reduced, tokens, c.Heads * c.HeadDim),
            Gated = at.Rows(reduced, tokens, c.Ffn),
            RouterLogits = at.Packed(DType.F32, c.Moe is null ? 0 : tokens, c.Moe?.Experts ?? 0),
            Chosen = at.Packed(DType.I32, c.Moe is null ? 0 : tokens, c.Moe?.Active ?? 0),
            Shares = at.Packed(DType.F32, c.Moe is null ? 0 : tokens, c.Moe?.Active ?? 0),
            Order = at.Packed(DType.I32, 1, pairs),
            Groups = at.Packed(DType.I32, 1, c.Moe is null ? 0 : GroupOp.Size(pairs, c.Moe.Experts)),
            ExpertGated = at.Rows(reduced, pairs, c.Moe?.Ffn ?? 0),
            ExpertOut = at.Rows(DType.F32, pairs, c.Moe is null ? 0 : c.Hidden),
            Last = at.Rows(DType.F32, wanted, c.Hidden),
            LastNormed = at.Rows(reduced, wanted, c.Hidden),
            Logits = at.Rows(DType.F32, wanted, c.Vocabulary),
            States = at.Rows(DType.F32, wanted, c.Hidden),
            SliceBest = at.Packed(DType.I32, wanted, slices * CandidatesOp.BestOfSlice),
            SliceSums = at.Packed(DType.F32, wanted, slices * CandidatesOp.SumsOfSlice),
            Best = best,
            Raw = raw,
            Stats = stats,
        };
    }

    /// <summary>The results of a step, of so many wanted rows.</summary>
    internal static (Tensor Best, Tensor Raw, Tensor Stats) ResultsIn(Arena at, int wanted) =>
        (at.Packed(DType.I32, wanted, 2 * CandidatesOp.Kept), at.Packed(DType.F32, wanted, CandidatesOp.Kept),
            at.Packed(DType.F32, wanted, MergeCandidatesOp.StatsOfRow));
}

/// <summary>Hands out tensors one behind the other in a region of memory; without memory it only adds up the sizes.</summary>
sealed class Arena(DeviceMemory? memory)
{
    public long Used { get; private set; }

    public Tensor Rows(DType type, int rows, int cols)
    {
        long at = Take(Shaders.Rows.Bytes(type, rows, cols));
        return memory is null ? Tensor.None : Tensor.OfRows(memory, at, type, rows, cols);
    }

    public Tensor Packed(DType type, int rows, int cols)
    {
        long at = Take((long)rows * cols * type.ElementBytes());
        return memory is null ? Tensor.None : Tensor.Packed(memory, at, type, rows, cols);
    }

    public long Take(long bytes)
    {
        long at = Used;
        Used += (bytes + 255) / 256 * 256;
        return at;
    }
}
