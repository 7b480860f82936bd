using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

public class CandidatesTests
{
    public static TheoryData<string, int, int, bool> Cases()
    {
        var cases = new TheoryData<string, int, int, bool>();
        foreach (string device in TestDevices.Complete.Select(n => n.Data))
            foreach (var (rows, vocabulary, masked) in new[] { (1, 1, false), (1, 63, false), (2, 64, true), (3, 65, false), (2, 1003, true), (1, 50021, false) }) cases.Add(device, rows, vocabulary, masked);
        return cases;
    }

    [Theory, MemberData(nameof(Cases))]
    public void The_best_and_the_sums_equal_the_reference(string device, int rows, int vocabulary, bool masked)
    {
        var random = new Random(vocabulary);
        int real = Math.Max(1, vocabulary - 7), words = (vocabulary + 31) / 32;
        // Rounded to quarters, so that there are ties.
        var logits = Operand.Rows(random, DType.F32, rows, vocabulary, spread: 30);
        foreach (ref float v in System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(logits.Bytes.AsSpan())) v = MathF.Round(v * 4) / 4;
        int[] mask = [.. Enumerable.Range(0, rows * words).Select(_ => random.Next() | random.Next())];
        const int Most = 5;
        int[] ids = [.. Enumerable.Range(0, Math.Max(vocabulary, rows * Most))]; // distinct; some are outside
        random.Shuffle(ids);
        int[] edits = [.. Enumerable.Range(0, rows * Most).SelectMany(i => new[] { ids[i], BitConverter.SingleToInt32Bits(1.5f), BitConverter.SingleToInt32Bits(1.25f) })];
        Operand io = Operand.InOut(logits), maskBits = Operand.Packed<int>(DType.I32, rows, words, mask), list = Operand.Packed<int>(DType.I32, rows, 3 * Most, edits), counts = Operand.Ints([.. Enumerable.Range(0, rows).Select(r => r + 2)]);
        int[] poison = [.. Enumerable.Repeat(-1, rows * 2 * CandidatesOp.Kept)];
        Operand best = Operand.Packed<int>(DType.I32, rows, 2 * CandidatesOp.Kept, poison, output: true), stats = Operand.Packed<int>(DType.F32, rows, 2, poison.AsSpan(0, rows * 2), output: true);
        using var run = new OpRun(device, io, maskBits, list, counts, best, stats);
        run.Run((gpu, t) => gpu.Candidates(t(io), real, masked ? t(maskBits) : Tensor.None, t(list), t(counts), t(best), t(stats), Tensor.None)).Check(stats, 1e-12);
        Assert.Equal(run.ReadReference(best), run.Read(best));
    }
}
