using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>Every buffer of a forward pass, for one bucket of T tokens and S wanted rows. All buckets are views of the same memory.</summary>
public sealed class Activations
{
    public required Tensor X { get; init; }              // (T, D) f32, the residual stream
    public required Tensor Normed { get; init; }         // (T, D) f32 or a8
    public required Tensor Qkv { get; init; }            // (T, (H + 2K) · d) f32
    public required Tensor Attended { get; init; }       // (T, H · d) f32 or a8
    public required Tensor Gated { get; init; }          // (T, F) f32 or a8
    public required Tensor Last { get; init; }           // (S, D) f32
    public required Tensor LastNormed { get; init; }     // (S, D) f32 or a8
    public required Tensor Logits { get; init; }         // (S, V) f32
    public required Tensor Best { get; init; }           // (S, 128) i32
    public required Tensor Stats { get; init; }          // (S, 2) f32

    /// <summary>Bytes for the largest bucket, results apart.</summary>
    public static long Bytes(Qwen3Config c, DType matrices, Numerics numerics, int tokens, int wanted)
    {
        var sizes = new Arena(null);
        Make(c, matrices, numerics, tokens, wanted, sizes, new Arena(null));
        return sizes.Used;
    }

    /// <summary>Buffers of a bucket within <paramref name="memory"/>, which holds <see cref="Bytes"/> of the largest; what the host reads after every step lies in <paramref name="results"/>.</summary>
    internal static Activations In(DeviceMemory memory, Arena results, Qwen3Config c, DType matrices, Numerics numerics, int tokens, int wanted) =>
        Make(c, matrices, numerics, tokens, wanted, new Arena(memory), results);

    static Activations Make(Qwen3Config c, DType matrices, Numerics numerics, int tokens, int wanted, Arena at, Arena results)
    {
        var reduced = numerics.ActivationFor(matrices);
        var (best, stats) = ResultsIn(results, wanted);
        return new Activations
        {
            X = at.Rows(DType.F32, tokens, c.Hidden),
            Normed = at.Rows(reduced, tokens, c.Hidden),
            Qkv = at.Rows(DType.F32, tokens, (c.Heads + 2 * c.KvHeads) * c.HeadDim),
            Attended = at.Rows(reduced, tokens, c.Heads * c.HeadDim),
            Gated = at.Rows(reduced, tokens, c.Ffn),
            Last = at.Rows(DType.F32, wanted, c.Hidden),
            LastNormed = at.Rows(reduced, wanted, c.Hidden),
            Logits = at.Rows(DType.F32, wanted, c.Vocabulary),
            Best = best,
            Stats = stats,
        };
    }

    /// <summary>The results of a step, of so many wanted rows.</summary>
    internal static (Tensor Best, Tensor Stats) ResultsIn(Arena at, int wanted) => (at.Packed(DType.I32, wanted, 2 * CandidatesOp.Kept), at.Packed(DType.F32, wanted, 2));
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
