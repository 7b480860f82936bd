using System.Runtime.InteropServices;
using Tessera.Runtime.Devices;
using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>
/// Which ids can be drawn, and penalties and biases by id, in sets that stay on the device from step to step: only what changes is written. A wanted row names
/// its set, and rows may share one. See <see cref="CandidatesOp"/>.
/// </summary>
public sealed class LogitRules : IDisposable
{
    /// <summary>Ids that a caller may give a bias, beside the penalties of all that is known.</summary>
    public const int MaxBiases = 1024;

    readonly IDevice device;
    readonly DeviceMemory? memory;                       // null: there are no sets
    readonly int vocabulary, capacity;
    readonly Set[] sets;

    internal LogitRules(IDevice device, int vocabulary, BatchLimits limits)
    {
        (this.device, this.vocabulary, capacity) = (device, vocabulary, Capacity(vocabulary, limits));
        memory = limits.RuleSets > 0 ? device.Allocate(Bytes(vocabulary, limits)) : null;
        (Masks, Edits) = In(new Arena(memory), vocabulary, limits);
        sets = [.. Enumerable.Range(0, limits.RuleSets).Select(_ => new Set())];
    }

    /// <summary>(sets, vocabulary / 32) i32</summary>
    internal Tensor Masks { get; }

    /// <summary>(sets, 3 · capacity) i32</summary>
    internal Tensor Edits { get; }

    /// <summary>What the sets take on the device.</summary>
    internal static long Bytes(int vocabulary, BatchLimits limits)
    {
        var sizes = new Arena(null);
        In(sizes, vocabulary, limits);
        return sizes.Used;
    }

    static (Tensor Masks, Tensor Edits) In(Arena at, int vocabulary, BatchLimits limits) =>
        (at.Packed(DType.I32, limits.RuleSets, CandidatesOp.MaskWords(vocabulary)),
            at.Packed(DType.I32, limits.RuleSets, CandidatesOp.EditNumbers * Capacity(vocabulary, limits)));

    /// <summary>No id is edited twice: there is never need for more than the vocabulary.</summary>
    static int Capacity(int vocabulary, BatchLimits limits) => Math.Min(limits.Edits, vocabulary);

    /// <summary>Takes all rules off a set, for another sequence.</summary>
    public void Clear(int set)
    {
        var one = sets[set];
        one.Places.Clear();
        (one.Count, one.Masked, one.First, one.End) = (0, false, 0, 0);
    }

    /// <summary>From now on, makes of this id's logit (l &gt; 0 ? l / divide : l · divide) − subtract; in place of what was said of it before.</summary>
    /// <param name="subtract">Presence and frequency penalty less a bias; 3e38 and more: the id cannot be drawn.</param>
    /// <param name="divide">Repetition penalty; 1: none.</param>
    /// <exception cref="TesseraException">There is no such id, a number is none, or the set has as many edits as it was made for.</exception>
    public void Edit(int set, int id, float subtract, float divide = 1)
    {
        if ((uint)id >= (uint)vocabulary) throw new TesseraException($"penalty or bias of token {id}: expected 0 to {vocabulary - 1}");
        if (float.IsNaN(subtract) || !(divide > 0 && float.IsFinite(divide)))
            throw new TesseraException($"token {id}: expected a penalty or bias that is a number, and a repetition penalty above 0, found {subtract} and "
                + $"{divide}");
        var one = sets[set];
        if (!one.Places.TryGetValue(id, out int at))
        {
            if (one.Count == capacity)
                throw new TesseraException($"token {id}: expected penalties and biases of at most {capacity} tokens, found one more; load with a larger "
                    + "context");
            if (one.Numbers.Length == 0) (one.Numbers, one.Places) = (new int[CandidatesOp.EditNumbers * capacity], new Dictionary<int, int>(capacity));
            one.Places.Add(id, at = one.Count++);
        }
        var numbers = one.Numbers.AsSpan(CandidatesOp.EditNumbers * at, CandidatesOp.EditNumbers);
        numbers[0] = id;
        numbers[1] = BitConverter.SingleToInt32Bits(Math.Clamp(subtract, CandidatesOp.Nothing, -CandidatesOp.Nothing));
        numbers[2] = BitConverter.SingleToInt32Bits(divide);
        (one.First, one.End) = one.First == one.End ? (at, at + 1) : (Math.Min(one.First, at), Math.Max(one.End, at + 1));
    }

    /// <summary>From now on, only ids can be drawn whose bit (id % 32 of word id / 32) is 1.</summary>
    /// <param name="words">Of the whole vocabulary; none: all ids can be drawn.</param>
    public void Mask(int set, ReadOnlySpan<int> words)
    {
        int expected = CandidatesOp.MaskWords(vocabulary);
        if (words.Length != expected && words.Length != 0) throw new TesseraException($"mask: expected {expected} words or none, found {words.Length}");
        sets[set].Masked = words.Length > 0;
        if (words.Length > 0) device.Write(Part(Masks, (long)set * expected, expected), MemoryMarshal.AsBytes(words));
    }

    /// <summary>Writes what changed, and says what <see cref="CandidatesOp"/> reads of each row: its set (−1: none), how many edits it has, and whether a
    /// mask.</summary>
    internal void Upload(ReadOnlySpan<int> setOfRow, Span<int> rules)
    {
        for (int row = 0; row < setOfRow.Length; row++)
        {
            var numbers = rules.Slice(row * CandidatesOp.RulesOfRow, CandidatesOp.RulesOfRow);
            int set = numbers[0] = setOfRow[row];
            if (set < 0) continue;
            var one = sets[set];
            (numbers[1], numbers[2]) = (one.Count, one.Masked ? 1 : 0);
            if (one.First == one.End) continue;
            const int Each = CandidatesOp.EditNumbers;
            device.Write(Part(Edits, Each * ((long)set * capacity + one.First), Each * (one.End - one.First)),
                MemoryMarshal.AsBytes(one.Numbers.AsSpan(Each * one.First, Each * (one.End - one.First))));
            one.First = one.End = 0;
        }
    }

    static Tensor Part(in Tensor of, long first, int count) => of with { Offset = of.Offset + 4 * first, Bytes = 4L * count };

    public void Dispose() => memory?.Dispose();

    /// <summary>What the host knows of a set: its edits, where each id's lies, and from where to where they are not yet on the device.</summary>
    sealed class Set
    {
        public int[] Numbers = [];
        public Dictionary<int, int> Places = [];
        public int Count, First, End;
        public bool Masked;
    }
}
