using ILGPU;
using ILGPU.Runtime;

namespace Tessera.Shaders;

/// <summary>The product for CUDA and OpenCL: a group makes the 16 rows of a panel for up to 4 tokens.</summary>
static class MatMulIlgpu
{
    public readonly record struct Shape(int Tokens, int Outer, int Inner, int Add, int HasBias, int HasCount, int Zero);

    delegate void Launch(KernelConfig config, ArrayView<byte> w, ArrayView<byte> x, ArrayView<byte> y, ArrayView<byte> bias, ArrayView<byte> count, Shape a);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<MatMulOp.Args>();
        Tensor w = call.Tensors[MatMulOp.W], x = call.Tensors[MatMulOp.X], bias = call.Tensors[MatMulOp.Bias], count = call.Tensors[MatMulOp.Count];
        var shape = new Shape(a.Tokens, a.Outer, a.Inner, a.Add, bias.IsNone ? 0 : 1, count.IsNone ? 0 : 1, Zero: 0);
        var kernel = new Kernels(on).Choose(on, w.Type, x.Type, a.Tokens);
        ArrayView<byte> wv = view(w), xv = view(x), yv = view(call.Tensors[MatMulOp.Y]), bv = view(bias), cv = view(count);
        var config = new KernelConfig(new Index3D(Tile.Panels(a.Outer), a.Tokens == 1 ? 1 : Tile.TokenTiles(a.Tokens), 1),
            new Index3D(PanelIlgpu.IsCpu(on) ? PanelIlgpu.SliceThreads : PanelIlgpu.Threads, 1, 1));
        return () => kernel(config, wv, xv, yv, bv, cv, shape);
    }

    sealed class Kernels(Accelerator on) : IOfForm<Launch>
    {
        public Launch Of<T>() where T : struct, IForm =>
            new(on.LoadStreamKernel<ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, Shape>(Kernel<T>));
    }

    static void Kernel<T>(ArrayView<byte> w, ArrayView<byte> x, ArrayView<byte> y, ArrayView<byte> bias, ArrayView<byte> count, Shape a)
        where T : struct, IForm
    {
        int panel = Grid.IdxX, first = Grid.IdxY * default(T).Tokens, thread = ILGPU.Group.IdxX;
        int real = GroupsIlgpu.RealRows(count, a.HasCount, a.Tokens);
        int tokens = IntrinsicMath.Min(default(T).Tokens, real - first);
        if (tokens <= 0) return;
        var rows = PanelIlgpu.Following<T>(first, tokens, a.Inner);
        var product = new PanelIlgpu.Product { W = w, X = x, Outer = a.Outer, Inner = a.Inner, Zero = a.Zero };
        if (default(T).IsNarrow)
        {
            var sums = PanelIlgpu.All<T>(product, panel, thread * 4, rows);
            for (int t = 0; t < tokens; t++)
                for (int r = 0; r < 4; r++)
                    Store(y, bias, first + t, panel * Tile.Rows + thread * 4 + r, sums.Of(t).At(r), a);
        }
        else
        {
            var partial = SharedMemory.Allocate<float>(Tile.Tokens * PanelIlgpu.Partials);
            PanelIlgpu.Share<T>(product, panel, rows, partial, thread);
            int t = thread / Tile.Rows, r = thread % Tile.Rows;
            if (t < tokens) Store(y, bias, first + t, panel * Tile.Rows + r, PanelIlgpu.RowSum(partial, t, r), a);
        }
    }

    static void Store(ArrayView<byte> y, ArrayView<byte> bias, int token, int n, float sum, Shape a)
    {
        if (n >= a.Outer) return;
        var ys = y.Cast<float>();
        long at = (long)token * Tile.Pad(a.Outer) + n;
        float added = a.Add != 0 ? ys[at] : 0; // first to each other: the large sum is then rounded once
        if (a.HasBias != 0) added += bias.Cast<float>()[n];
        ys[at] = sum + added;
    }
}
