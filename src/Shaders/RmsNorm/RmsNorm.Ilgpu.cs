using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;

namespace Tessera.Shaders;

/// <summary>A norm on CUDA and OpenCL: a group takes a token.</summary>
static class RmsNormIlgpu
{
    public readonly record struct Shape(int Dim, float Eps, int A8, int HasCount);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<RmsNormOp.Args>();
        var t = call.Tensors;
        var shape = new Shape(a.Dim, a.Eps, t[RmsNormOp.Y].Type == DType.A8 ? 1 : 0, t[RmsNormOp.Count].IsNone ? 0 : 1);
        var kernel = on.LoadStreamKernel<ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, Shape>(Kernel);
        ArrayView<byte> x = view(t[RmsNormOp.X]), w = view(t[RmsNormOp.W]), y = view(t[RmsNormOp.Y]), count = view(t[RmsNormOp.Count]);
        var config = new KernelConfig(a.Tokens, GroupsIlgpu.Threads(on, GroupsIlgpu.MaxThreads));
        return () => kernel(config, x, w, y, count, shape);
    }

    static void Kernel(ArrayView<byte> x, ArrayView<byte> w, ArrayView<byte> y, ArrayView<byte> count, Shape a)
    {
        var partial = SharedMemory.Allocate<float>(GroupsIlgpu.MaxThreads);
        var shared = SharedMemory.Allocate<int>(StoreIlgpu.Shared);
        int token = Grid.IdxX, thread = Group.IdxX, threads = Group.DimX;
        if (token >= GroupsIlgpu.RealRows(count, a.HasCount, token + 1)) return;
        ArrayView<float> xs = x.Cast<float>(), ws = w.Cast<float>();
        long from = (long)token * Tile.Pad(a.Dim);
        float squares = 0;
        for (int c = thread * 4; c < a.Dim; c += threads * 4)
        {
            var v = GroupsIlgpu.Load(xs, from + c, a.Dim - c);
            squares += v.X * v.X + v.Y * v.Y + (v.Z * v.Z + v.W * v.W);
        }
        float factor = 1 / XMath.Sqrt(GroupsIlgpu.Sum(partial, squares, thread, threads) / a.Dim + a.Eps);
        long row = (long)token * StoreIlgpu.Stride(a.A8 != 0, a.Dim);
        int words = Tile.Pad(a.Dim) / 4;
        for (int first = 0; first < words; first += threads)
        {
            int word = first + thread;
            var v = GroupsIlgpu.Load(xs, from + word * 4, a.Dim - word * 4) * factor * GroupsIlgpu.Load(ws, word * 4, a.Dim - word * 4);
            StoreIlgpu.Word(y, a.A8 != 0, row, a.Dim, word < words ? word : -1, v, shared, thread);
        }
    }
}
