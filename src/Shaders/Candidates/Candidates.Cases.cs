using System.Runtime.InteropServices;

namespace Tessera.Shaders;

public static partial class CandidatesOp
{
    const int EditsOfRow = 5;

    public static OpCases Cases => new(
        [
            .. from shape in new[] { (1, 1, false), (1, 63, false), (2, 64, true), (3, 65, false), (2, 1003, true), (1, 50021, false) }
               select Edited(shape.Item1, shape.Item2, shape.Item3),
        ],
        [Edited(5, 3000, masked: true)],
        (model, _) => [Greedy(1, model.Vocabulary), Greedy(16, model.Vocabulary)]); // a sequence that decodes, and a batch

    /// <summary>With edits, of which some are outside of the vocabulary, and where it is masked with a mask of three quarters.</summary>
    static OpCase Edited(int rows, int vocabulary, bool masked)
    {
        int real = Math.Max(1, vocabulary - 7), words = (vocabulary + 31) / 32;
        return new($"{rows} x {vocabulary}{(masked ? " masked" : "")}", [DType.F32], random =>
        {
            int[] mask = [.. Enumerable.Range(0, rows * words).Select(_ => random.Next() | random.Next())];
            int[] ids = [.. Enumerable.Range(0, Math.Max(vocabulary, rows * EditsOfRow))];
            random.Shuffle(ids);
            int[] penalties = [BitConverter.SingleToInt32Bits(1.5f), BitConverter.SingleToInt32Bits(1.25f)];
            int[] edits = [.. ids.Take(rows * EditsOfRow).SelectMany(id => (int[])[id, .. penalties])];
            return
            [
                Quarters(random, rows, vocabulary), masked ? Fill.Packed<int>(DType.I32, rows, words, mask) : null,
                Fill.Packed<int>(DType.I32, rows, 3 * EditsOfRow, edits), Fill.Ints([.. Enumerable.Range(2, rows)]),
                BestOf(rows), Fill.PackedOut(DType.F32, rows, 2, 1e-12), Fill.Ints(rows),
            ];
        }, (gpu, t) => gpu.Candidates(t[Logits], real, t[Mask], t[Edits], t[EditCounts], t[Best], t[Stats], t[Count]));
    }

    static OpCase Greedy(int rows, int vocabulary) => new($"{rows} x {vocabulary}", [DType.F32],
        random =>
        [
            Fill.Rows(random, DType.F32, rows, vocabulary, spread: 9).InOut(0), null, Fill.Packed<int>(DType.I32, rows, 0, []), null,
            BestOf(rows), Fill.PackedOut(DType.F32, rows, 2, 1e-12), Fill.Ints(rows),
        ],
        (gpu, t) => gpu.Candidates(t[Logits], vocabulary, t[Mask], t[Edits], t[EditCounts], t[Best], t[Stats], t[Count])) { Work = Workload.Chunk(rows) };

    static Operand BestOf(int rows) => Fill.PackedOut(DType.I32, rows, 2 * Kept);

    /// <summary>Logits rounded to quarters, so that there are ties.</summary>
    static Operand Quarters(Random random, int rows, int vocabulary)
    {
        var logits = Fill.Rows(random, DType.F32, rows, vocabulary, spread: 30);
        foreach (ref float v in MemoryMarshal.Cast<byte, float>(logits.Bytes.AsSpan())) v = MathF.Round(v * 4) / 4;
        return logits.InOut(1e-12);
    }
}
