using System.Runtime.InteropServices;
using Tessera.Runtime.Devices;
using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>All that changes from step to step, in device memory, so that a recorded segment can be replayed. A bucket is a view of the first rows.</summary>
public sealed class StepInputs
{
    public required Tensor Tokens { get; init; }         // (1, T) i32
    public required Tensor Positions { get; init; }      // (1, T) i32
    public required Tensor Sequences { get; init; }      // (1, T) i32, rows of the block table
    public required Tensor Slots { get; init; }          // (1, T) i32
    public required Tensor Rope { get; init; }           // (T, d) f32
    public required Tensor Blocks { get; init; }         // (sequences, maxBlocks) i32
    public required Tensor Wanted { get; init; }         // (1, S) i32
    public required Tensor Rules { get; init; }          // (1, 3 · S) i32
    public required Tensor Count { get; init; }          // (1, 1) i32
    public required Tensor WantedCount { get; init; }    // (1, 1) i32
    public required int RealIds { get; init; }

    /// <summary>The inputs of a bucket; the sizes in memory are those of the largest, so that every bucket finds its rows at the same place.</summary>
    internal static StepInputs In(Arena at, BatchLimits limits, int headDim, int realIds, int tokens, int wanted)
    {
        Tensor View(DType type, int most, int rows, int cols)
        {
            var whole = at.Packed(type, most, cols);
            return whole.IsNone ? whole : Tensor.Packed(whole.Memory!, whole.Offset, type, rows, cols);
        }
        Tensor Line(int most, int cols)
        {
            var whole = at.Packed(DType.I32, 1, most);
            return whole.IsNone ? whole : Tensor.Packed(whole.Memory!, whole.Offset, DType.I32, 1, cols);
        }
        return new StepInputs
        {
            Tokens = Line(limits.Tokens, tokens),
            Positions = Line(limits.Tokens, tokens),
            Sequences = Line(limits.Tokens, tokens),
            Slots = Line(limits.Tokens, tokens),
            Rope = View(DType.F32, limits.Tokens, tokens, headDim),
            Blocks = at.Packed(DType.I32, limits.Sequences, limits.BlocksPerSequence),
            Wanted = Line(limits.Wanted, wanted),
            Rules = Line(CandidatesOp.RulesOfRow * limits.Wanted, CandidatesOp.RulesOfRow * wanted),
            Count = Line(1, 1),
            WantedCount = Line(1, 1),
            RealIds = realIds,
        };
    }

    internal static void Upload<T>(IDevice device, in Tensor to, ReadOnlySpan<T> values) where T : unmanaged =>
        device.Write(to with { Bytes = (long)values.Length * System.Runtime.CompilerServices.Unsafe.SizeOf<T>() }, MemoryMarshal.AsBytes(values));
}

/// <summary>The most that one step may hold, and the cache that steps share.</summary>
/// <param name="Tokens">Rows of a step.</param>
/// <param name="Wanted">Rows of a step whose logits are computed.</param>
/// <param name="Blocks">Of the cache's pool, which sequences share.</param>
/// <param name="Sequences">Rows of the block table.</param>
/// <param name="BlocksPerSequence">Its columns: the context, in blocks.</param>
/// <param name="Edits">Tokens with penalties or biases in a set of rules.</param>
/// <param name="RuleSets">Sets of <see cref="LogitRules"/>.</param>
public readonly record struct BatchLimits(int Tokens, int Wanted, int Blocks, int Sequences, int BlocksPerSequence, int Edits, int RuleSets = 0);
