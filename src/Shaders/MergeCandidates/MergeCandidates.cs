namespace Tessera.Shaders;

/// <summary>Makes of the slices' candidates those of a row, and of their sums its maxima and log-sum-exps: all that sampling needs, in a few bytes.</summary>
/// <remarks>
/// bestOfSlices: I32 (rows, slices · 192) packed and sums: F32 (rows, 4 · slices) packed, as <see cref="CandidatesOp"/> writes them.
/// best: I32 (rows, 128) packed: 64 pairs of id and logit (F32 bits), largest first, ties by lower id; id −1 where there are fewer. raw: F32 (rows, 64) packed:
/// the same logits before they were edited (−3e38 where there is none).
/// stats: F32 (rows, 4) packed: maximum and log-sum-exp of the logits as the model gives them, which logprobs are made of, and of those that can be chosen,
/// after edits (−3e38 where there are none). All are NaN, and there are no candidates, where a logit is not finite.
/// </remarks>
public static partial class MergeCandidatesOp
{
    public readonly record struct Args(int Rows, int Slices);

    public const int BestOfSlices = 0, Sums = 1, Best = 2, Raw = 3, Stats = 4, Count = 5;

    /// <summary>Numbers of a row in stats.</summary>
    public const int StatsOfRow = 4;

    const int Kept = CandidatesOp.Kept;

    public static readonly Kernel Kernel = new()
    {
        Name = "MergeCandidates",
        Bindings = ["bestOfSlices:in", "sums:in", "best:out", "raw:out", "stats:out", "count:in"],
        ArgBytes = 8,
        Units = call => call.Args<Args>().Rows,
        Bytes = (call, work) => Math.Min(work.Rows, call.Args<Args>().Rows)
            * (call.Args<Args>().Slices * (CandidatesOp.BestOfSlice + CandidatesOp.SumsOfSlice) + 3 * Kept + StatsOfRow) * 4.0,
        Reference = Reference,
        Host = Host,
        Vulkan = Vulkan,
    };

    extension(IRecorder gpu)
    {
        public void MergeCandidates(Tensor bestOfSlices, Tensor sums, Tensor best, Tensor raw, Tensor stats, Tensor count)
        {
            int rows = bestOfSlices.RowCount, slices = bestOfSlices.Cols / CandidatesOp.BestOfSlice;
            Shape.Require("MergeCandidates", bestOfSlices.Cols == slices * CandidatesOp.BestOfSlice && sums.Cols == slices * CandidatesOp.SumsOfSlice
                && best.Cols == 2 * Kept && raw.Cols == Kept && stats.Cols == StatsOfRow && sums.RowCount == rows && best.RowCount == rows
                && raw.RowCount == rows && stats.RowCount == rows,
                "bestOfSlices i32 (rows, 192 · slices), sums f32 (rows, 4 · slices), best i32 (rows, 128), raw f32 (rows, 64), stats f32 (rows, 4)",
                bestOfSlices, sums, best, raw, stats);
            gpu.Launch(Kernel, new Args(rows, slices), bestOfSlices, sums, best, raw, stats, count);
        }
    }
}
