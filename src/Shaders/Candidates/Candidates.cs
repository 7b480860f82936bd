namespace Tessera.Shaders;

/// <summary>Edits the slices of a row of logits by its rules, and finds the 64 best of each: what <see cref="MergeCandidatesOp"/> makes a row's of.</summary>
/// <remarks>
/// A slice is 2048 ids that follow each other; the last has the rest. logits: F32 (rows, vocabulary) rows; edited in place. Ids from <c>Real</c> on, and those
/// whose bit in the mask is 0, become −3e38, which cannot be chosen; then each edit that counts makes of a logit that can be
/// (l &gt; 0 ? l / Divide : l · Divide) − Subtract, kept within ±3e38 (repetition penalty; presence and frequency penalty, bias).
/// rules: I32 (1, 3 · rows) packed, or none: for each row its set (−1: no rules), how many of the set's edits count, and whether its mask does. Rows may share
/// a set; sets stay from call to call. masks: I32 (sets, ceil(vocabulary / 32)) packed, bit id % 32 of word id / 32: the ids that are allowed. edits: I32
/// (sets, 3 · most) packed, no id twice in a set: id, Subtract and Divide (above 0) as F32 bits.
/// best: I32 (rows, slices · 192) packed, a slice the 64 ids in ascending order, their logits (F32 bits), and these before they were edited; of equal logits
/// the lower ids; id −1 where there are fewer. sums: F32 (rows, 4 · slices) packed: the slice's maximum, the sum of e^(l − maximum), and both after edits
/// (−3e38 and 0 where nothing can be chosen). Where a logit is not finite, a slice's sums are NaN and it has no candidates.
/// </remarks>
public static partial class CandidatesOp
{
    public readonly record struct Args(int Rows, int Vocabulary, int Real, int MaxEdits);

    public const int Logits = 0, Rules = 1, Masks = 2, Edits = 3, Best = 4, Sums = 5, Count = 6;

    /// <summary>Candidates of a row, and of a slice.</summary>
    public const int Kept = 64;

    /// <summary>Ids of a slice.</summary>
    public const int SliceIds = 2048;

    /// <summary>Numbers of a slice in best, and in sums.</summary>
    public const int BestOfSlice = 3 * Kept, SumsOfSlice = 4;

    /// <summary>The logit of an id that cannot be chosen: no infinity, which GPUs need not know.</summary>
    public const float Nothing = -3e38f;

    /// <summary>Numbers of a row in rules, and of an edit.</summary>
    public const int RulesOfRow = 3, EditNumbers = 3;

    public static readonly Kernel Kernel = new()
    {
        Name = "Candidates",
        Bindings = ["logits:inout", "rules:in", "masks:in", "edits:in", "best:out", "sums:out", "count:in"],
        ArgBytes = 16,
        Units = call => call.Args<Args>().Rows * Slices(call.Args<Args>().Vocabulary),
        Bytes = (call, work) => call.RowBytes(Logits, work.Rows)
            + Math.Min(work.Rows, call.Args<Args>().Rows) * Slices(call.Args<Args>().Vocabulary) * (BestOfSlice + SumsOfSlice) * 4.0,
        Reference = Reference,
        Host = Host,
        Vulkan = Vulkan,
    };

    /// <summary>Slices of a row.</summary>
    public static int Slices(int vocabulary) => (vocabulary + SliceIds - 1) / SliceIds;

    /// <summary>Words of a mask.</summary>
    public static int MaskWords(int vocabulary) => (vocabulary + 31) / 32;

    extension(IRecorder gpu)
    {
        public void Candidates(Tensor logits, int real, Tensor rules, Tensor masks, Tensor edits, Tensor best, Tensor sums, Tensor count)
        {
            int slices = Slices(logits.Cols);
            Shape.Require("Candidates", best.Cols == slices * BestOfSlice && sums.Cols == slices * SumsOfSlice && best.RowCount == logits.RowCount
                && sums.RowCount == logits.RowCount && real <= logits.Cols && edits.Cols % 3 == 0
                && (rules.IsNone || rules.Cols == RulesOfRow * logits.RowCount) && (masks.IsNone || masks.Cols == MaskWords(logits.Cols)),
                "logits f32 (rows, vocabulary), rules i32 (1, 3 · rows), masks i32 (sets, vocabulary / 32), edits i32 (sets, 3 · most), "
                + "best i32 (rows, 192 · slices), sums f32 (rows, 4 · slices)", logits, rules, masks, edits, best, sums);
            gpu.Launch(Kernel, new Args(logits.RowCount, logits.Cols, real, edits.Cols / 3), logits, rules, masks, edits, best, sums, count);
        }
    }

    /// <summary>Edits those of a slice's logits that can be chosen: a few scattered writes, the same for reference and host.</summary>
    static unsafe void Edit(Call call, int set, int count, int first, Span<float> slice)
    {
        var edits = new ReadOnlySpan<int>(call.At<int>(Edits) + (long)set * 3 * call.Args<Args>().MaxEdits, 3 * count);
        for (int i = 0; i < edits.Length; i += 3)
        {
            int at = edits[i] - first;
            if ((uint)at >= (uint)slice.Length || slice[at] <= Nothing) continue;
            float subtract = BitConverter.Int32BitsToSingle(edits[i + 1]), divide = BitConverter.Int32BitsToSingle(edits[i + 2]), l = slice[at];
            slice[at] = Math.Clamp((l > 0 ? l / divide : l * divide) - subtract, Nothing, -Nothing);
        }
    }

    /// <summary>The rules of a row: its set (−1: none), the edits that count, and whether the mask does.</summary>
    static unsafe (int Set, int EditCount, bool Masked) RulesOf(Call call, int row)
    {
        if (call.Tensors[Rules].IsNone) return (-1, 0, false);
        int* rules = call.At<int>(Rules) + row * RulesOfRow;
        return rules[0] < 0 ? (-1, 0, false) : (rules[0], Math.Min(rules[1], call.Args<Args>().MaxEdits), rules[2] != 0);
    }

    /// <summary>A slice without candidates.</summary>
    static void Empty(Span<int> best)
    {
        best[..Kept].Fill(-1);
        best[Kept..].Fill(BitConverter.SingleToInt32Bits(Nothing));
    }
}
