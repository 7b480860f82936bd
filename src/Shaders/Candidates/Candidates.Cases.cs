using System.Runtime.InteropServices;

namespace Tessera.Shaders;

public static partial class CandidatesOp
{
    const int Sets = 4;

    public static OpCases Cases => new(
        [
            .. from shape in new[] { (1, 1, 5), (1, 63, 5), (2, 64, 5), (3, 65, 20), (2, 1003, 5), (3, SliceIds, 70), (5, SliceIds + 1, 5), (1, 50021, 3000) }
               select Ruled(shape.Item1, shape.Item2, shape.Item3),
            Greedy(3, 4099), Equal(2, 3 * SliceIds - 5),
        ],
        [Ruled(5, 3 * SliceIds - 72, 5)],
        (model, _) => [Greedy(1, model.Vocabulary), Greedy(16, model.Vocabulary)]); // a sequence that decodes, and a batch

    /// <summary>
    /// With a mask of three quarters and edits, of which some are outside of the vocabulary. The first row has one set with all edits, the others in turn none,
    /// another set's mask, the first's set without its mask and with fewer edits, and the first's again.
    /// </summary>
    static OpCase Ruled(int rows, int vocabulary, int editsOfSet)
    {
        int real = Math.Max(1, vocabulary - 7), words = MaskWords(vocabulary), most = editsOfSet + 3;
        return new($"{rows} x {vocabulary}, {editsOfSet} edits", [DType.F32], random =>
        {
            int[] rules = [.. Enumerable.Range(0, rows).SelectMany(row => (int[])((row % 5) switch
            {
                0 => [2, editsOfSet, 1],
                1 => [-1, 7, 1],
                2 => [1, 0, 1],
                3 => [2, editsOfSet - 2, 0],
                _ => [2, editsOfSet, 1],
            }))];
            int[] masks = [.. Enumerable.Range(0, Sets * words).Select(_ => random.Next() | random.Next() | random.Next() << 16)];
            int[] edits = [.. Enumerable.Range(0, Sets).SelectMany(_ =>
            {
                int[] ids = [.. Enumerable.Range(0, Math.Max(vocabulary, most))];
                random.Shuffle(ids);
                float[] subtract = [1.5f, -2, 0, 3e38f], divide = [1.25f, 1, 0.5f];
                return ids.Take(most).SelectMany((id, i) => (int[])[id, BitConverter.SingleToInt32Bits(subtract[i % 4]),
                    BitConverter.SingleToInt32Bits(divide[i % 3])]);
            })];
            return
            [
                Quarters(random, rows, vocabulary), Fill.Ints(rules), Fill.Packed<int>(DType.I32, Sets, words, masks),
                Fill.Packed<int>(DType.I32, Sets, 3 * most, edits), .. Outputs(rows, vocabulary),
            ];
        }, (gpu, t) => gpu.Candidates(t[Logits], real, t[Rules], t[Masks], t[Edits], t[Best], t[Sums], t[Count]));
    }

    static OpCase Greedy(int rows, int vocabulary) => Plain($"{rows} x {vocabulary}", rows, vocabulary,
        random => Fill.Rows(random, DType.F32, rows, vocabulary, spread: 9).InOut(0));

    /// <summary>Logits of two values: more ties than are kept, in every slice.</summary>
    static OpCase Equal(int rows, int vocabulary) => Plain($"{rows} x {vocabulary} of two values", rows, vocabulary, random =>
    {
        var logits = Fill.Rows(random, DType.F32, rows, vocabulary);
        foreach (ref float v in MemoryMarshal.Cast<byte, float>(logits.Bytes.AsSpan())) v = v > 0.98f ? 0f : v > 0.5f ? -0f : -1;
        return logits.InOut(0);
    });

    static OpCase Plain(string name, int rows, int vocabulary, Func<Random, Operand> logits) => new(name, [DType.F32],
        random => [logits(random), null, null, Fill.Packed<int>(DType.I32, 1, 0, []), .. Outputs(rows, vocabulary)],
        (gpu, t) => gpu.Candidates(t[Logits], vocabulary, t[Rules], t[Masks], t[Edits], t[Best], t[Sums], t[Count])) { Work = Workload.Chunk(rows) };

    static Operand[] Outputs(int rows, int vocabulary) =>
    [
        Fill.PackedOut(DType.I32, rows, Slices(vocabulary) * BestOfSlice), Fill.PackedOut(DType.F32, rows, Slices(vocabulary) * SumsOfSlice, 1e-12),
        Fill.Ints(rows),
    ];

    /// <summary>Logits rounded to quarters, so that there are ties.</summary>
    static Operand Quarters(Random random, int rows, int vocabulary)
    {
        var logits = Fill.Rows(random, DType.F32, rows, vocabulary, spread: 30);
        foreach (ref float v in MemoryMarshal.Cast<byte, float>(logits.Bytes.AsSpan())) v = MathF.Round(v * 4) / 4;
        return logits.InOut(0);
    }
}
