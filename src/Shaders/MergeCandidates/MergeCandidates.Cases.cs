namespace Tessera.Shaders;

public static partial class MergeCandidatesOp
{
    public static OpCases Cases => new(
        [.. from shape in new[] { (1, 1), (2, 2), (3, 7), (2, 75), (1, 300) } select Slices(shape.Item1, shape.Item2)],
        [Slices(5, 20)],
        (model, _) => [Slices(1, CandidatesOp.Slices(model.Vocabulary)), Slices(16, CandidatesOp.Slices(model.Vocabulary))]);

    /// <summary>Slices with 64 candidates, with fewer and with none; logits are quarters, so that there are ties.</summary>
    static OpCase Slices(int rows, int slices) => new($"{rows} x {slices} slices", [DType.F32], random =>
    {
        var best = new List<int>();
        var sums = new List<float>();
        for (int slice = 0; slice < rows * slices; slice++)
        {
            int found = (slice % 4) switch { 1 => random.Next(Kept), 3 => 0, _ => Kept };
            int id = slice % slices * CandidatesOp.SliceIds;
            float[] logits = [.. Enumerable.Range(0, found).Select(_ => MathF.Round((float)random.NextDouble() * 40 - 10) / 4)];
            best.AddRange(Enumerable.Range(0, Kept).Select(i => i < found ? id += random.Next(1, 30) : -1));
            best.AddRange(Enumerable.Range(0, Kept).Select(i => BitConverter.SingleToInt32Bits(i < found ? logits[i] : CandidatesOp.Nothing)));
            best.AddRange(Enumerable.Range(0, Kept).Select(i => BitConverter.SingleToInt32Bits(i < found ? logits[i] + i : CandidatesOp.Nothing)));
            sums.AddRange([(float)random.NextDouble() * 20 - 5, 1 + 9 * (float)random.NextDouble()]);
            sums.AddRange(found == 0 ? [CandidatesOp.Nothing, 0] : [logits.Max(), 1 + 9 * (float)random.NextDouble()]);
        }
        return
        [
            Fill.Packed<int>(DType.I32, rows, slices * CandidatesOp.BestOfSlice, [.. best]),
            Fill.Packed<float>(DType.F32, rows, slices * CandidatesOp.SumsOfSlice, [.. sums]),
            Fill.PackedOut(DType.I32, rows, 2 * Kept), Fill.PackedOut(DType.F32, rows, Kept), Fill.PackedOut(DType.F32, rows, StatsOfRow, 1e-12),
            Fill.Ints(rows),
        ];
    }, (gpu, t) => gpu.MergeCandidates(t[BestOfSlices], t[Sums], t[Best], t[Raw], t[Stats], t[Count])) { Work = Workload.Chunk(rows) };
}
