using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>The ops of mixture of experts against the reference.</summary>
public class ExpertTests
{
    public static TheoryData<string, DType, int, int, int, int, bool> Routers()
    {
        var cases = new TheoryData<string, DType, int, int, int, int, bool>();
        foreach (string device in TestDevices.Complete.Select(n => n.Data))
            foreach (var y in new[] { DType.F32, DType.A8 })
                foreach (var (t, d, e, k, renormalise) in new[] { (1, 32, 1, 1, true), (3, 64, 8, 2, false), (5, 100, 17, 3, true), (17, 256, 128, 8, true), (2, 1024, 300, 64, false) }) cases.Add(device, y, t, d, e, k, renormalise);
        return cases;
    }

    [Theory, MemberData(nameof(Routers))]
    public void Router_chooses_as_the_reference(string device, DType type, int tokens, int dim, int experts, int active, bool renormalise)
    {
        var random = new Random(experts);
        Operand x = Operand.Rows(random, DType.F32, tokens, dim, spread: 3), norm = Operand.PackedRandom(random, 1, dim), w = Operand.Weights(random, DType.F32, experts, dim);
        Operand y = Operand.Out(type, tokens, dim), ids = Poisoned(DType.I32, tokens, active), weights = Poisoned(DType.F32, tokens, active), count = Operand.Ints(tokens);
        using var run = new OpRun(device, x, norm, w, y, ids, weights, count);
        run.Run((gpu, t) => gpu.Router(t(x), t(norm), t(w), t(y), t(ids), t(weights), 1e-6f, renormalise, t(count)));
        run.Check(y, type == DType.A8 ? 2e-6 : 1e-12);
        Assert.Equal(run.ReadReference(ids), run.Read(ids));
        run.Check(weights, 1e-9);
    }

    [Theory, InlineData("host"), InlineData("lavapipe")]
    public void Equal_experts_are_taken_by_their_ids(string device)
    {
        var random = new Random(1);
        var w = Operand.Weights(random, DType.F32, 16, 64);
        for (int e = 1; e < 16; e++)
            for (int k = 0; k < 64; k++) w.Bytes.AsSpan((int)Tile.ValueOffset(DType.F32, 64, 0, k), 4).CopyTo(w.Bytes.AsSpan((int)Tile.ValueOffset(DType.F32, 64, e, k)));
        Operand x = Operand.Rows(random, DType.F32, 3, 64), norm = Operand.PackedRandom(random, 1, 64), y = Operand.Out(DType.F32, 3, 64), ids = Poisoned(DType.I32, 3, 4), weights = Poisoned(DType.F32, 3, 4);
        using var run = new OpRun(device, x, norm, w, y, ids, weights);
        run.Run((gpu, t) => gpu.Router(t(x), t(norm), t(w), t(y), t(ids), t(weights), 1e-6f, true, Tensor.None));
        Assert.Equal(Enumerable.Repeat(new[] { 0, 1, 2, 3 }, 3).SelectMany(i => i), System.Runtime.InteropServices.MemoryMarshal.Cast<byte, int>(run.Read(ids)).ToArray());
        Assert.All(System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(run.Read(weights)).ToArray(), v => Assert.Equal(0.25f, v, 1e-6f));
    }

    public static TheoryData<string, DType, DType, DType, int, int, int, int, int> Layers()
    {
        var cases = new TheoryData<string, DType, DType, DType, int, int, int, int, int>();
        foreach (string device in TestDevices.Complete.Select(n => n.Data))
            foreach (var (t, k, e, ffn, dim) in new[] { (1, 1, 1, 16, 32), (1, 8, 16, 24, 64), (5, 2, 3, 48, 96), (17, 3, 7, 33, 37), (40, 4, 5, 100, 64) })
            {
                cases.Add(device, DType.Q8, DType.A8, DType.A8, t, k, e, ffn, dim);
                foreach (var w in new[] { DType.F32, DType.BF16, DType.F16, DType.Q8 }) cases.Add(device, w, DType.F32, DType.F32, t, k, e, ffn, dim);
            }
        return cases;
    }

    [Theory, MemberData(nameof(Layers))]
    public void Experts_equal_the_reference(string device, DType wType, DType xType, DType midType, int tokens, int active, int experts, int ffn, int dim)
    {
        var random = new Random(tokens);
        active = Math.Min(active, experts);
        int pairs = tokens * active;
        int[] chosen = [.. Enumerable.Range(0, tokens).SelectMany(_ => Shuffled(random, experts).Take(active))];
        Operand ids = Operand.Packed<int>(DType.I32, tokens, active, chosen), order = Poisoned(DType.I32, 1, pairs), groups = Poisoned(DType.I32, 1, GroupOp.Size(pairs, experts)), count = Operand.Ints(tokens);
        Operand gateUp = Experts(random, wType, experts, GateUpOp.JoinedRows(ffn), dim, n => n / 32 * 16 + n % 16 < ffn), down = Experts(random, wType, experts, dim, ffn, _ => true);
        Operand x = Operand.Rows(random, xType, tokens, dim, spread: 2), mid = Operand.Out(midType, pairs, ffn), z = Operand.Out(DType.F32, pairs, dim);
        Operand weights = Operand.PackedRandom(random, tokens, active), residual = Operand.InOut(Operand.Rows(random, DType.F32, tokens, dim));
        using var run = new OpRun(device, ids, order, groups, gateUp, down, x, mid, z, weights, residual, count);
        run.Run((gpu, t) =>
        {
            gpu.Group(t(ids), t(order), t(groups), experts, t(count));
            gpu.ExpertGateUp(t(gateUp), t(x), t(order), t(groups), t(mid));
            gpu.ExpertDown(t(down), t(mid), t(order), t(groups), t(z));
            gpu.Combine(t(z), t(weights), t(residual), t(count));
        });
        Assert.Equal(run.ReadReference(order), run.Read(order));
        int tiles = 4 * (experts + 2 + 3 * BitConverter.ToInt32(run.ReadReference(groups), 4 * (experts + 1))); // behind the last tile nothing is said
        Assert.Equal(run.ReadReference(groups)[..tiles], run.Read(groups)[..tiles]);
        run.Check(mid, midType == DType.A8 ? 5e-6 : 1e-11);
        run.Check(residual, midType == DType.A8 ? 1e-5 : 1e-11);

        // Fewer tokens: the same bits for those, the rest untouched.
        byte[] all = run.Read(residual);
        int some = tokens / 2, stride = Rows.Stride(DType.F32, dim);
        run.Replay(count, BitConverter.GetBytes(0));
        byte[] fewer = run.Replay(residual, residual.Bytes).Replay(count, BitConverter.GetBytes(some)).Read(residual);
        Assert.Equal(all[..(some * stride)], fewer[..(some * stride)]);
        Assert.Equal(residual.Bytes[(some * stride)..], fewer[(some * stride)..]);
    }

    static IEnumerable<int> Shuffled(Random random, int count)
    {
        int[] all = [.. Enumerable.Range(0, count)];
        random.Shuffle(all);
        return all;
    }

    static Operand Poisoned(DType type, int rows, int cols) => Operand.Packed<int>(type, rows, cols, Enumerable.Repeat(-1, rows * cols).ToArray(), output: true);

    /// <summary>Random matrices, one behind the other; rows of padding are zeros.</summary>
    static Operand Experts(Random random, DType type, int experts, int rows, int cols, Func<int, bool> real)
    {
        var bytes = new List<byte>();
        for (int e = 0; e < experts; e++)
        {
            var one = Operand.Weights(random, type, rows, cols);
            for (int r = 0; r < rows; r++)
                for (int k = 0; k < cols; k++)
                    if (!real(r)) one.Bytes.AsSpan((int)Tile.ValueOffset(type, cols, r, k), type.ElementBytes()).Clear();
            bytes.AddRange(one.Bytes);
        }
        return Operand.Experts([.. bytes], type, experts, rows, cols);
    }
}
