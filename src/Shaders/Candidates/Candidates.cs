namespace Tessera.Shaders;

/// <summary>Edits a row of logits and finds its 64 best, its maximum and its log-sum-exp: all that sampling needs, in a few bytes.</summary>
/// <remarks>
/// logits: F32 (rows, vocabulary) rows; edited in place. Ids from <c>Real</c> on are set to −∞, then those whose bit in mask is 0, then each edit:
/// l = (l &gt; 0 ? l / Divide : l · Divide) − Subtract (repetition and presence penalty).
/// mask: I32 (rows, ceil(vocabulary / 32)) packed, bit id % 32 of word id / 32, or none. edits: I32 (rows, 3 · most) packed, no id twice in a row: id,
/// Subtract and Divide as F32 bits. editCounts: I32 (1, rows) packed, or none.
/// best: I32 (rows, 128) packed: 64 pairs of id and logit (F32 bits), largest first, ties by lower id; id −1 where there are fewer. stats: F32 (rows, 2)
/// packed: maximum and log-sum-exp.
/// </remarks>
public static partial class CandidatesOp
{
    public readonly record struct Args(int Rows, int Vocabulary, int Real, int MaxEdits);

    public const int Logits = 0, Mask = 1, Edits = 2, EditCounts = 3, Best = 4, Stats = 5, Count = 6;

    /// <summary>Candidates of a row.</summary>
    public const int Kept = 64;

    public static readonly Kernel Kernel = new()
    {
        Name = "Candidates",
        Bindings = ["logits:inout", "mask:in", "edits:in", "editCounts:in", "best:out", "stats:out", "count:in"],
        ArgBytes = 16,
        Units = call => call.Args<Args>().Rows,
        Bytes = (call, work) => call.RowBytes(Logits, work.Rows) + Math.Min(work.Rows, call.Args<Args>().Rows) * (2 * Kept + 2) * 4.0,
        Reference = Reference,
        Host = Host,
        Vulkan = Vulkan,
    };

    extension(IRecorder gpu)
    {
        public void Candidates(Tensor logits, int real, Tensor mask, Tensor edits, Tensor editCounts, Tensor best, Tensor stats, Tensor count)
        {
            Shape.Require("Candidates", best.Cols == 2 * Kept && stats.Cols == 2 && best.RowCount == logits.RowCount && stats.RowCount == logits.RowCount
                && real <= logits.Cols && edits.Cols % 3 == 0,
                "logits f32 (rows, vocabulary), best i32 (rows, 128), stats f32 (rows, 2), edits i32 (rows, 3 · most)", logits, mask, edits, editCounts, best,
                stats);
            gpu.Launch(Kernel, new Args(logits.RowCount, logits.Cols, real, edits.Cols / 3), logits, mask, edits, editCounts, best, stats, count);
        }
    }

    /// <summary>Masks and penalties, in place: a few scattered writes, the same for reference and host.</summary>
    static unsafe void Edit(Call call, int row, float* logits)
    {
        var a = call.Args<Args>();
        for (int id = a.Real; id < a.Vocabulary; id++) logits[id] = float.NegativeInfinity;
        if (!call.Tensors[Mask].IsNone)
        {
            int* mask = call.At<int>(Mask) + (long)row * ((a.Vocabulary + 31) / 32);
            for (int id = 0; id < a.Real; id++)
                if ((mask[id / 32] >> (id % 32) & 1) == 0) logits[id] = float.NegativeInfinity;
        }
        if (call.Tensors[EditCounts].IsNone) return;
        int* edit = call.At<int>(Edits) + (long)row * 3 * a.MaxEdits;
        for (int i = 0; i < Math.Min(call.At<int>(EditCounts)[row], a.MaxEdits); i++, edit += 3)
        {
            if ((uint)edit[0] >= (uint)a.Real) continue;
            float subtract = BitConverter.Int32BitsToSingle(edit[1]), divide = BitConverter.Int32BitsToSingle(edit[2]), l = logits[edit[0]];
            logits[edit[0]] = (l > 0 ? l / divide : l * divide) - subtract;
        }
    }
}
