using System.Runtime.InteropServices;

namespace Tessera.Shaders;

public static unsafe partial class GroupOp
{
    public static OpCases Cases => new(
        [
            .. from shape in ExpertGateUpOp.Choices() select Case(shape.Rows, shape.PerToken, shape.Experts, shape.Skew),
            Case(131, 8, 128, skew: true), Case(37, 1, 1, skew: false), Case(67, 10, RouterOp.MaxExperts, skew: true), Case(300, 3, 257, skew: false),
        ],
        [Case(67, 3, 7, skew: true)],
        (model, _) => from rows in OpCases.TimedRows where model.HasExperts select Case(rows, model.PerToken, model.Experts, skew: false));

    static OpCase Case(int rows, int perToken, int experts, bool skew) => new($"{rows} x {perToken} of {experts}", [DType.I32],
        random =>
        [
            Fill.Packed<int>(DType.I32, rows, perToken, Choose(random, rows, perToken, experts, skew)),
            Fill.ListOut(rows * perToken), Fill.ListOut(Size(rows * perToken, experts)), Fill.Ints(rows),
        ],
        (gpu, t) => gpu.Group(t[Chosen], t[Order], t[Groups], experts, t[Count])) { Work = Workload.Chunk(rows, perToken: perToken) };

    /// <summary>Distinct experts of each row, (rows · perToken). With skew expert e is drawn with weight 1 / (e + 1), as trained routers favour a few; without,
    /// all alike.</summary>
    public static int[] Choose(Random random, int rows, int perToken, int experts, bool skew)
    {
        var chosen = new int[rows * perToken];
        for (int r = 0; r < rows; r++)
        {
            // Efraimidis and Spirakis 2006: the largest u^(1 / weight) are a weighted draw without replacement.
            var keys = Enumerable.Range(0, experts).Select(e => Math.Pow(random.NextDouble(), skew ? e + 1 : 1)).ToArray();
            Enumerable.Range(0, experts).OrderByDescending(e => keys[e]).Take(perToken).ToArray().CopyTo(chosen, r * perToken);
        }
        return chosen;
    }

    /// <summary>The order and the groups of a choice, by the reference.</summary>
    public static (Operand Order, Operand Groups) Sorted(int[] chosen, int perToken, int experts)
    {
        int[] order = new int[chosen.Length], groups = new int[Size(chosen.Length, experts)];
        fixed (int* ids = chosen, sorted = order, lists = groups)
        {
            var args = new Args(chosen.Length / perToken, perToken, experts, TileRows(chosen.Length, experts));
            var tensors = new[] { Over(ids, chosen.Length), Over(sorted, order.Length), Over(lists, groups.Length), Tensor.None };
            Kernel.Reference(new Call(Kernel, MemoryMarshal.AsBytes(new ReadOnlySpan<Args>(in args)), tensors), 0, 1);
        }
        return (Fill.Ints(order), Fill.Ints(groups));
    }

    static Tensor Over(int* at, int count) => Tensor.Packed(new Operand.Pinned((byte*)at, count * 4L), 0, DType.I32, 1, count);
}
