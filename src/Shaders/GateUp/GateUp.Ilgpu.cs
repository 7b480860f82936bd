using ILGPU;
using ILGPU.Runtime;
using Tessera.Runtime.Devices.Ilgpu;

namespace Tessera.Shaders;

/// <summary>Gate and up for CUDA and OpenCL: a group makes 32 columns of up to 4 tokens.</summary>
static class GateUpIlgpu
{
    const int Panels = 4;           // two of gate and two of up
    const int NarrowThreads = 8;    // 4 columns each

    public readonly record struct Shape(int Tokens, int Ffn, int Inner, int IsA8, int HasCount, int Zero);

    delegate void Launch(KernelConfig config, ArrayView<byte> w, ArrayView<byte> x, ArrayView<byte> y, ArrayView<byte> count, Shape a);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<GateUpOp.Args>();
        Tensor w = call.Tensors[GateUpOp.W], x = call.Tensors[GateUpOp.X], y = call.Tensors[GateUpOp.Y], count = call.Tensors[GateUpOp.Count];
        var shape = new Shape(a.Tokens, a.Ffn, a.Inner, y.Type == DType.A8 ? 1 : 0, count.IsNone ? 0 : 1, Zero: 0);
        var kernel = new Kernels(on).Choose(on, w.Type, x.Type, a.Tokens);
        ArrayView<byte> wv = view(w), xv = view(x), yv = view(y), cv = view(count);
        var config = new KernelConfig(new Index3D(Tile.Tiles(a.Ffn), a.Tokens == 1 ? 1 : Tile.TokenTiles(a.Tokens), 1), new Index3D(ThreadsOn(on), 1, 1));
        return () => kernel(config, wv, xv, yv, cv, shape);
    }

    public static int ThreadsOn(Accelerator on) => PanelIlgpu.IsCpu(on) ? NarrowThreads : PanelIlgpu.Threads;

    sealed class Kernels(Accelerator on) : IOfForm<Launch>
    {
        public Launch Of<T>() where T : struct, IForm =>
            new(on.LoadStreamKernel<ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, Shape>(Kernel<T>));
    }

    static void Kernel<T>(ArrayView<byte> w, ArrayView<byte> x, ArrayView<byte> y, ArrayView<byte> count, Shape a) where T : struct, IForm
    {
        int first = Grid.IdxY * default(T).Tokens;
        int real = GroupsIlgpu.RealRows(count, a.HasCount, a.Tokens);
        int tokens = IntrinsicMath.Min(default(T).Tokens, real - first);
        if (tokens <= 0) return;
        var product = new PanelIlgpu.Product { W = w, X = x, Outer = JoinedRows(a.Ffn), Inner = a.Inner, Zero = a.Zero };
        Block<T>(product, PanelIlgpu.Following<T>(first, tokens, a.Inner), y, a.IsA8 != 0, first, a.Ffn, Grid.IdxX, tokens, ILGPU.Group.IdxX);
    }

    public static int JoinedRows(int ffn) => (ffn + Tile.Rows - 1) / Tile.Rows * 2 * Tile.Rows;

    /// <summary>block: 32 columns, which share a scale. first: the row of y that the first token's are stored in.</summary>
    public static void Block<T>(PanelIlgpu.Product p, PanelIlgpu.Rows4 rows, ArrayView<byte> y, bool a8, int first, int ffn, int block, int tokens, int thread)
        where T : struct, IForm
    {
        var shared = SharedMemory.Allocate<int>(2 * PanelIlgpu.Threads);
        int panels = p.Outer / Tile.Rows, word = thread % 8, at = block * Panels + word / 4 * 2; // the panel of the thread's columns
        long stride = StoreIlgpu.Stride(a8, ffn);
        if (default(T).IsNarrow)
        {
            PanelIlgpu.Sums gate = default, up = default;
            if (at < panels)
            {
                gate = PanelIlgpu.All<T>(p, at, word % 4 * 4, rows);
                up = PanelIlgpu.All<T>(p, at + 1, word % 4 * 4, rows);
            }
            for (int t = 0; t < tokens; t++)
                StoreIlgpu.Word(y, a8, (first + t) * stride, ffn, block * 8 + word, Swiglu(gate.Of(t), up.Of(t)), shared, thread);
            return;
        }
        var partial = SharedMemory.Allocate<float>(Tile.Tokens * PanelIlgpu.Partials);
        var products = SharedMemory.Allocate<float>(Tile.Tokens * Panels * Tile.Rows); // (tokens, panels, rows)
        for (int i = 0; i < IntrinsicMath.Min(Panels, panels - block * Panels); i++)
        {
            PanelIlgpu.Share<T>(p, block * Panels + i, rows, partial, thread);
            int token = thread / Tile.Rows, row = thread % Tile.Rows;
            if (token < tokens) products[(token * Panels + i) * Tile.Rows + row] = PanelIlgpu.RowSum(partial, token, row);
            ILGPU.Group.Barrier();
        }
        // 8 threads a row, 4 columns each
        int own = thread / 8;
        Floats4 v = default;
        if (own < tokens && at < panels)
        {
            int from = own * Panels * Tile.Rows + word / 4 * 2 * Tile.Rows + word % 4 * 4;
            v = Swiglu(Four(products, from), Four(products, from + Tile.Rows));
        }
        StoreIlgpu.Word(y, a8, (first + own) * stride, ffn, own < tokens ? block * 8 + word : -1, v, shared, thread);
    }

    static Floats4 Four(ArrayView<float> from, int at) => new(from[at], from[at + 1], from[at + 2], from[at + 3]);

    static Floats4 Swiglu(Floats4 gate, Floats4 up) => new(Silu(gate.X) * up.X, Silu(gate.Y) * up.Y, Silu(gate.Z) * up.Z, Silu(gate.W) * up.W);

    static float Silu(float v) => v / (1 + Bits.Exp(-v));
}
