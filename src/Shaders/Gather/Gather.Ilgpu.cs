using ILGPU;
using ILGPU.Runtime;

namespace Tessera.Shaders;

/// <summary>Copies rows on CUDA and OpenCL: a group takes a part of a row, a thread 16 bytes.</summary>
static class GatherIlgpu
{
    public readonly record struct Shape(int Quads, int HasCount);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<GatherOp.Args>();
        var t = call.Tensors;
        int quads = Tile.Pad(a.Dim) / 4, threads = 64;
        var shape = new Shape(quads, t[GatherOp.Count].IsNone ? 0 : 1);
        var kernel = on.LoadStreamKernel<ArrayView<Ints4>, ArrayView<int>, ArrayView<Ints4>, ArrayView<byte>, Shape>(Kernel);
        ArrayView<Ints4> x = view(t[GatherOp.X]).Cast<Ints4>(), y = view(t[GatherOp.Y]).Cast<Ints4>();
        ArrayView<int> rows = view(t[GatherOp.RowIds]).Cast<int>();
        ArrayView<byte> count = view(t[GatherOp.Count]);
        var config = new KernelConfig(new Index3D(a.Wanted, (quads + threads - 1) / threads, 1), new Index3D(threads, 1, 1));
        return () => kernel(config, x, rows, y, count, shape);
    }

    static void Kernel(ArrayView<Ints4> x, ArrayView<int> rows, ArrayView<Ints4> y, ArrayView<byte> count, Shape a)
    {
        int row = Grid.IdxX, c = Grid.IdxY * Group.DimX + Group.IdxX;
        if (c < a.Quads && row < GroupsIlgpu.RealRows(count, a.HasCount, row + 1)) y[(long)row * a.Quads + c] = x[(long)rows[row] * a.Quads + c];
    }
}
