using ILGPU;
using ILGPU.Runtime;

namespace Tessera.Shaders;

/// <summary>The product by each expert for CUDA and OpenCL: a group makes 16 rows (a panel) of a tile, 4 places at a time.</summary>
static class ExpertDownIlgpu
{
    public readonly record struct Shape(int Experts, int Outer, int Inner, int Zero);

    delegate void Launch(KernelConfig config, ArrayView<byte> w, ArrayView<byte> x, ArrayView<byte> order, ArrayView<byte> groups, ArrayView<byte> y, Shape a);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<ExpertDownOp.Args>();
        Tensor w = call.Tensors[ExpertDownOp.W], x = call.Tensors[ExpertDownOp.X];
        var shape = new Shape(a.Experts, a.Outer, a.Inner, Zero: 0);
        var kernel = new Kernels(on).Choose(on, w.Type, x.Type, a.Pairs <= a.Experts ? 1 : Tile.Tokens);
        ArrayView<byte> wv = view(w), xv = view(x), ov = view(call.Tensors[ExpertDownOp.Order]), gv = view(call.Tensors[ExpertDownOp.Groups]);
        var yv = view(call.Tensors[ExpertDownOp.Y]);
        var config = new KernelConfig(new Index3D(Tile.Panels(a.Outer), GroupOp.MaxTiles(a.Pairs, a.Experts), 1),
            new Index3D(PanelIlgpu.IsCpu(on) ? PanelIlgpu.SliceThreads : PanelIlgpu.Threads, 1, 1));
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
        int panel = Grid.IdxX, thread = ILGPU.Group.IdxX;
        var tile = groups.Cast<int>();
        if (Grid.IdxY >= tile[a.Experts + 1]) return;
        int at = a.Experts + 2 + 3 * Grid.IdxY, begin = tile[at + 1], last = begin + tile[at + 2];
        var product = new PanelIlgpu.Product
        {
            W = w, X = x, Matrix = tile[at] * PanelIlgpu.PanelBytes<T>(a.Outer, a.Inner), Outer = a.Outer, Inner = a.Inner, Zero = a.Zero,
        };
        for (int first = begin; first < last; first += default(T).Tokens)
        {
            int places = IntrinsicMath.Min(default(T).Tokens, last - first);
            var rows = PanelIlgpu.Following<T>(first, places, a.Inner);
            if (default(T).IsNarrow)
            {
                var sums = PanelIlgpu.All<T>(product, panel, thread * 4, rows);
                for (int i = 0; i < places; i++)
                    for (int r = 0; r < 4; r++)
                        Store(y, order, first + i, panel * Tile.Rows + thread * 4 + r, sums.Of(i).At(r), a);
            }
            else
            {
                var partial = SharedMemory.Allocate<float>(Tile.Tokens * PanelIlgpu.Partials);
                PanelIlgpu.Share<T>(product, panel, rows, partial, thread);
                int i = thread / Tile.Rows, r = thread % Tile.Rows;
                if (i < places) Store(y, order, first + i, panel * Tile.Rows + r, PanelIlgpu.RowSum(partial, i, r), a);
                ILGPU.Group.Barrier(); // what is shared is used again
            }
        }
    }

    static void Store(ArrayView<byte> y, ArrayView<byte> order, int place, int n, float sum, Shape a)
    {
        if (n < a.Outer) y.Cast<float>()[(long)order.Cast<int>()[place] * Tile.Pad(a.Outer) + n] = sum;
    }
}
