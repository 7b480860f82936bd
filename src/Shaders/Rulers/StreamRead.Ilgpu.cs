using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Algorithms.ScanReduceOperations;
using ILGPU.Runtime;

namespace Tessera.Shaders;

/// <summary>Reading memory on CUDA and OpenCL: a group sums a unit.</summary>
static class StreamReadIlgpu
{
    const int Threads = 256, Loads = 4;

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<StreamReadOp.Args>();
        var kernel = on.LoadStreamKernel<ArrayView<Quad>, ArrayView<int>, int>(Kernel);
        ArrayView<Quad> x = view(call.Tensors[StreamReadOp.X]).Cast<Quad>();
        ArrayView<int> y = view(call.Tensors[StreamReadOp.Y]).Cast<int>();
        return () => kernel(new KernelConfig(a.Units, Threads), x, y, a.UnitQuads);
    }

    static void Kernel(ArrayView<Quad> x, ArrayView<int> y, int unitQuads)
    {
        long first = (long)Grid.IdxX * unitQuads;
        int sum = 0;
        for (int at = Group.IdxX; at < unitQuads; at += Threads * Loads)
        {
            Quad a = x[first + at], b = x[first + at + Threads], c = x[first + at + 2 * Threads], d = x[first + at + 3 * Threads];
            sum += a.Sum + b.Sum + c.Sum + d.Sum;
        }
        sum = GroupExtensions.Reduce<int, AddInt32>(sum);
        if (Group.IsFirstThread) y[Grid.IdxX] = sum;
    }

    /// <summary>16 bytes, which are loaded at once.</summary>
    readonly record struct Quad(int X, int Y, int Z, int W)
    {
        public int Sum => X + Y + Z + W;
    }
}
