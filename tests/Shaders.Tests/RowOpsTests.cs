using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>The ops that work row by row, against the reference.</summary>
public class RowOpsTests
{
    static readonly (int Tokens, int Dim)[] Shapes = [(1, 32), (1, 64), (3, 96), (5, 100), (17, 1024), (2, 37)];

    public static TheoryData<string, DType, int, int> Norms()
    {
        var cases = new TheoryData<string, DType, int, int>();
        foreach (string device in TestDevices.Complete.Select(n => n.Data))
            foreach (var (t, d) in Shapes)
                foreach (var y in new[] { DType.F32, DType.A8 }) cases.Add(device, y, t, d);
        return cases;
    }

    [Theory, MemberData(nameof(Norms))]
    public void RmsNorm_equals_the_reference(string device, DType type, int tokens, int dim)
    {
        var random = new Random(dim);
        Operand x = Operand.Rows(random, DType.F32, tokens, dim, spread: 5), w = Operand.PackedRandom(random, 1, dim), y = Operand.Out(type, tokens, dim), count = Operand.Ints(tokens);
        using var run = new OpRun(device, x, w, y, count);
        // Another rounding of one value may move its s8 by one step of 1/127 of the group's largest.
        // An epsilon as large as the mean square, so that leaving it out shows.
        run.Run((gpu, t) => gpu.RmsNorm(t(x), t(w), t(y), tokens % 2 == 0 ? 1e-6f : 8f, t(count))).Check(y, type == DType.A8 ? 2e-6 : 1e-12);
        CheckCount(run, y, count, Rows.Stride(type, dim));
    }

    [Theory, MemberData(nameof(Norms))]
    public void Gather_copies_rows(string device, DType type, int tokens, int dim)
    {
        _ = type;
        var random = new Random(dim);
        int[] rows = [tokens - 1, 0, tokens / 2];
        Operand x = Operand.Rows(random, DType.F32, tokens, dim), ids = Operand.Ints(rows), y = Operand.Out(DType.F32, rows.Length, dim), count = Operand.Ints(rows.Length);
        using var run = new OpRun(device, x, ids, y, count);
        run.Run((gpu, t) => gpu.Gather(t(x), t(ids), t(y), t(count))).Check(y, 0);
        CheckCount(run, y, count, Rows.Stride(DType.F32, dim));
    }

    public static TheoryData<string, DType, int, int> Tables()
    {
        var cases = new TheoryData<string, DType, int, int>();
        foreach (string device in TestDevices.Complete.Select(n => n.Data))
            foreach (var type in new[] { DType.F32, DType.BF16, DType.F16, DType.Q8 })
                foreach (var (t, d) in Shapes) cases.Add(device, type, t, d);
        return cases;
    }

    [Theory, MemberData(nameof(Tables))]
    public void Embed_fetches_rows_and_zeros_for_ids_outside(string device, DType type, int tokens, int dim)
    {
        var random = new Random(dim);
        const int Vocabulary = 53;
        int[] ids = [.. Enumerable.Range(0, tokens).Select(_ => random.Next(Vocabulary))];
        if (tokens > 2) (ids[0], ids[1]) = (-1, Vocabulary);
        Operand table = Operand.Weights(random, type, Vocabulary, dim), list = Operand.Ints(ids), x = Operand.Out(DType.F32, tokens, dim), count = Operand.Ints(tokens);
        using var run = new OpRun(device, table, list, x, count);
        run.Run((gpu, t) => gpu.Embed(t(list), t(table), t(x), t(count))).Check(x, 0);
        CheckCount(run, x, count, Rows.Stride(DType.F32, dim));
    }

    public static TheoryData<string, DType, DType, DType, int, int, int> Gates()
    {
        var cases = new TheoryData<string, DType, DType, DType, int, int, int>();
        foreach (string device in TestDevices.Complete.Select(n => n.Data))
            foreach (var (t, ffn, inner) in new[] { (1, 1, 32), (1, 16, 64), (2, 17, 96), (4, 33, 37), (5, 100, 64), (9, 160, 352) })
                foreach (var y in new[] { DType.F32, DType.A8 })
                {
                    cases.Add(device, DType.Q8, DType.A8, y, t, ffn, inner);
                    foreach (var w in new[] { DType.F32, DType.BF16, DType.F16, DType.Q8 }) cases.Add(device, w, DType.F32, y, t, ffn, inner);
                }
        return cases;
    }

    [Theory, MemberData(nameof(Gates))]
    public void GateUp_equals_the_reference(string device, DType wType, DType xType, DType yType, int tokens, int ffn, int inner)
    {
        var random = new Random(ffn);
        Operand w = Joined(random, wType, ffn, inner), x = Operand.Rows(random, xType, tokens, inner, spread: 2), y = Operand.Out(yType, tokens, ffn), count = Operand.Ints(tokens);
        using var run = new OpRun(device, w, x, y, count);
        run.Run((gpu, t) => gpu.GateUp(t(w), t(x), t(y), t(count))).Check(y, yType == DType.A8 ? 5e-6 : 1e-11);
        CheckCount(run, y, count, Rows.Stride(yType, ffn));
    }

    /// <summary>Gate and up joined: rows past ffn are padding and must be zeros.</summary>
    static Operand Joined(Random random, DType type, int ffn, int inner)
    {
        var w = Operand.Weights(random, type, GateUpOp.JoinedRows(ffn), inner);
        for (int n = ffn; n < Tile.Panels(ffn) * Tile.Rows; n++)
            for (int k = 0; k < inner; k++)
                foreach (int row in new[] { GateUpOp.GateRow(n), GateUpOp.GateRow(n) + Tile.Rows })
                    w.Bytes.AsSpan((int)Tile.ValueOffset(type, inner, row, k), type.ElementBytes()).Clear();
        return w;
    }

    /// <summary>With fewer rows the same bits for those, and nothing written behind them.</summary>
    static void CheckCount(OpRun run, Operand y, Operand count, int stride)
    {
        byte[] all = run.Read(y);
        for (int some = 0; some < y.RowCount; some++)
        {
            run.Replay(count, BitConverter.GetBytes(0));
            run.Replay(y, y.Bytes);
            byte[] fewer = run.Replay(count, BitConverter.GetBytes(some)).Read(y);
            Assert.Equal(all[..(some * stride)], fewer[..(some * stride)]);
            Assert.All(fewer[(some * stride)..], b => Assert.Equal(Operand.Poison, b));
        }
    }
}
