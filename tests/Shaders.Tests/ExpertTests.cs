using System.Runtime.InteropServices;
using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>What the experts' ops do together, and which experts a tie gives.</summary>
public class ExpertTests(OpenDevices devices) : IClassFixture<OpenDevices>
{
    public static TheoryData<string> Devices => TestDevices.Complete;

    [Theory, MemberData(nameof(Devices))]
    public void Equal_experts_are_taken_by_their_ids(string device)
    {
        var random = new Random(1);
        var w = Fill.Weights(random, DType.F32, 16, 64);
        for (int e = 1; e < 16; e++)
            for (int k = 0; k < 64; k++) Element(0, k).CopyTo(Element(e, k));
        Operand x = Fill.Rows(random, DType.F32, 3, 64), norm = Fill.Vector(random, 64), y = Fill.Out(DType.F32, 3, 64, 1e-12);
        Operand logits = Fill.PackedOut(DType.F32, 3, 16, 1e-11), ids = Fill.PackedOut(DType.I32, 3, 4), weights = Fill.PackedOut(DType.F32, 3, 4, 1e-9);
        using var run = new OpRun(devices[device], x, norm, w, y, logits, ids, weights);
        run.Run((gpu, t) => gpu.Router(t(x), t(norm), t(w), t(y), t(logits), t(ids), t(weights), 1e-6f, true, Tensor.None));
        Assert.Equal(Enumerable.Repeat(new[] { 0, 1, 2, 3 }, 3).SelectMany(i => i), MemoryMarshal.Cast<byte, int>(run.Read(ids)).ToArray());
        Assert.All(MemoryMarshal.Cast<byte, float>(run.Read(weights)).ToArray(), v => Assert.Equal(0.25f, v, 1e-6f));

        Span<byte> Element(int e, int k) => w.Bytes.AsSpan((int)Tile.ValueOffset(DType.F32, 64, e, k), 4);
    }

    /// <summary>Of 128 experts and one token: 32 workgroups for the logits, one for the choice.</summary>
    [Fact]
    public void A_tokens_logits_are_shared_by_many_workgroups()
    {
        using var device = TestDevices.Open("host");
        using var memory = device.Allocate(1 << 20);
        Tensor Rows(int cols) => Tensor.OfRows(memory, 0, DType.F32, 1, cols);
        Tensor Packed(DType type, int cols) => Tensor.Packed(memory, 0, type, 1, cols);
        var recorder = new Runtime.Devices.CallList();
        recorder.Router(Rows(64), Packed(DType.F32, 64), Tensor.Weights(memory, 0, DType.F32, 128, 64), Rows(64), Packed(DType.F32, 128), Packed(DType.I32, 8),
            Packed(DType.F32, 8), 1e-6f, true, Tensor.None);
        var call = Assert.Single(recorder.Calls);
        var variant = call.Kernel.Vulkan.First(v => v.Fits(new Features(32, true), call));
        Assert.Equal([new Groups(32, 1), new Groups(1)], variant.Stages.Select(stage => stage.Groups(call)));
    }

    /// <summary>The rows expected of an expert, in steps; never more tiles than a grid is made for.</summary>
    [Fact]
    public void Tiles_are_as_high_as_the_rows_that_are_expected()
    {
        Assert.Equal([4, 4, 4, 16, 16], new[] { 1, 8, 512, 513, 1 << 20 }.Select(pairs => GroupOp.TileRows(pairs, 128)));
        var random = new Random(1);
        for (int i = 0; i < 200; i++)
        {
            int experts = random.Next(1, 65), perToken = random.Next(1, Math.Min(experts, 9)), tokens = random.Next(1, 120);
            var (_, groups) = GroupOp.Sorted(GroupOp.Choose(random, tokens, perToken, experts, skew: i % 2 == 0), perToken, experts);
            var numbers = MemoryMarshal.Cast<byte, int>(groups.Bytes);
            int tiles = numbers[experts + 1], height = GroupOp.TileRows(tokens * perToken, experts), rows = 0;
            Assert.InRange(tiles, 1, GroupOp.MaxTiles(tokens * perToken, experts));
            for (int tile = 0; tile < tiles; tile++)
            {
                int expert = numbers[experts + 2 + 3 * tile], first = numbers[experts + 3 + 3 * tile], count = numbers[experts + 4 + 3 * tile];
                Assert.Equal((rows, true), (first, count is > 0 && count <= height && first + count <= numbers[expert + 1]));
                rows += count;
            }
            Assert.Equal(tokens * perToken, rows);
        }
    }

    static readonly (int, int, int, int, int)[] shapes = [(1, 1, 1, 16, 32), (1, 8, 16, 24, 64), (5, 2, 3, 48, 96), (17, 3, 7, 33, 37), (40, 4, 5, 100, 64)];

    public static TheoryData<string, DType, DType, int, int, int, int, int> Layers()
    {
        var cases = new TheoryData<string, DType, DType, int, int, int, int, int>();
        foreach (string device in TestDevices.Complete.Select(n => n.Data))
            foreach (var (w, x) in OpCases.ProductTypes)
                foreach (var (rows, perToken, experts, ffn, dim) in shapes)
                    cases.Add(device, w, x, rows, perToken, experts, ffn, dim);
        return cases;
    }

    /// <summary>Each call reads what the one before wrote: the same bits every time, and with fewer rows the same bits for those.</summary>
    [Theory, MemberData(nameof(Layers))]
    public void A_layer_of_experts_equals_the_reference(string device, DType w, DType x, int rows, int perToken, int experts, int ffn, int dim)
    {
        var random = new Random(rows);
        double reduced = x == DType.A8 ? 1e-5 : 1e-11;
        int pairs = rows * perToken;
        Operand ids = Fill.Packed<int>(DType.I32, rows, perToken, GroupOp.Choose(random, rows, perToken, experts, skew: false));
        Operand order = Fill.ListOut(pairs), groups = Fill.ListOut(GroupOp.Size(pairs, experts));
        Operand gateUp = GateUpOp.Joined(random, w, ffn, dim, experts), down = Fill.Experts(random, w, experts, dim, ffn);
        Operand from = Fill.Rows(random, x, rows, dim, spread: 2), mid = Fill.Out(x, pairs, ffn, x == DType.A8 ? 5e-6 : 1e-11);
        Operand z = Fill.Out(DType.F32, pairs, dim, reduced);
        Operand shares = Fill.Vector(random, perToken, rows), residual = Fill.Rows(random, DType.F32, rows, dim).InOut(reduced), count = Fill.Ints(rows);
        using var run = new OpRun(devices[device], ids, order, groups, gateUp, down, from, mid, z, shares, residual, count);
        run.Run((gpu, t) =>
        {
            gpu.Group(t(ids), t(order), t(groups), experts, t(count));
            gpu.ExpertGateUp(t(gateUp), t(from), t(order), t(groups), t(mid));
            gpu.ExpertDown(t(down), t(mid), t(order), t(groups), t(z));
            gpu.Combine(t(z), t(shares), t(residual), t(count));
        }).Check();
        byte[] all = run.Read(residual);
        for (int i = 0; i < 5; i++)
        {
            run.ReplayAfresh();
            Assert.Equal(all, run.Read(residual));
        }
        int fewer = rows / 2, end = fewer * Rows.Stride(DType.F32, dim);
        run.Run(count, fewer);
        Assert.Equal(all.AsSpan(0, end), run.Read(residual).AsSpan(0, end));
        Assert.Equal(residual.Bytes.AsSpan(end), run.Read(residual).AsSpan(end));
    }
}
