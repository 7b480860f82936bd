using ILGPU;
using ILGPU.Runtime;

namespace Tessera.Shaders;

/// <summary>GateUp by each expert for CUDA and OpenCL: a group makes 32 columns of a tile of rows, 4 at a time.</summary>
static class ExpertGateUpIlgpu
{
    public readonly record struct Shape(int PerToken, int Experts, int Ffn, int Inner, int IsA8, int Zero);

    delegate void Launch(KernelConfig config, ArrayView<byte> w, ArrayView<byte> x, ArrayView<byte> order, ArrayView<byte> groups, ArrayView<byte> y, Shape a);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<ExpertGateUpOp.Args>();
        Tensor w = call.Tensors[ExpertGateUpOp.W], x = call.Tensors[ExpertGateUpOp.X], y = call.Tensors[ExpertGateUpOp.Y];
        var shape = new Shape(a.PerToken, a.Experts, a.Ffn, a.Inner, y.Type == DType.A8 ? 1 : 0, Zero: 0);
        int pairs = a.Tokens * a.PerToken;
        var kernel = new Kernels(on).Choose(on, w.Type, x.Type, pairs <= a.Experts ? 1 : Tile.Tokens);
        ArrayView<byte> wv = view(w), xv = view(x), ov = view(call.Tensors[ExpertGateUpOp.Order]), gv = view(call.Tensors[ExpertGateUpOp.Groups]), yv = view(y);
        var config = new KernelConfig(new Index3D(Tile.Tiles(a.Ffn), GroupOp.MaxTiles(pairs, a.Experts), 1), new Index3D(GateUpIlgpu.ThreadsOn(on), 1, 1));
        return () => kernel(config, wv, xv, ov, gv, yv, shape);
    }

    sealed class Kernels(Accelerator on) : IOfForm<Launch>
    {
        public Launch Of<T>() where T : struct, IForm =>
            new(on.LoadStreamKernel<ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, Shape>(Kernel<T>));
    }

    static void Kernel<T>(ArrayView<byte> w, ArrayView<byte> x, ArrayView<byte> order, ArrayView<byte> groups, ArrayView<byte> y, Shape a)
        where T : struct, IForm
    {
        var tile = groups.Cast<int>();
        if (Grid.IdxY >= tile[a.Experts + 1]) return;
        int at = a.Experts + 2 + 3 * Grid.IdxY, outer = GateUpIlgpu.JoinedRows(a.Ffn);
        int begin = tile[at + 1], last = begin + tile[at + 2];
        var product = new PanelIlgpu.Product
        {
            W = w, X = x, Matrix = tile[at] * PanelIlgpu.PanelBytes<T>(outer, a.Inner), Outer = outer, Inner = a.Inner, Zero = a.Zero,
        };
        for (int first = begin; first < last; first += default(T).Tokens)
        {
            int places = IntrinsicMath.Min(default(T).Tokens, last - first);
            var rows = new PanelIlgpu.Rows4
            {
                A = Row<T>(order, first, a), B = Row<T>(order, first + IntrinsicMath.Min(1, places - 1), a),
                C = Row<T>(order, first + IntrinsicMath.Min(2, places - 1), a), D = Row<T>(order, first + IntrinsicMath.Min(3, places - 1), a),
            };
            GateUpIlgpu.Block<T>(product, rows, y, a.IsA8 != 0, first, a.Ffn, Grid.IdxX, places, ILGPU.Group.IdxX);
            ILGPU.Group.Barrier(); // what is shared is used again
        }
    }

    /// <summary>The row of x of a place, counted in 16 bytes.</summary>
    static long Row<T>(ArrayView<byte> order, int place, Shape a) where T : struct, IForm =>
        order.Cast<int>()[place] / a.PerToken * (long)(StoreIlgpu.Stride(default(T).IsA8, a.Inner) / 16);
}
