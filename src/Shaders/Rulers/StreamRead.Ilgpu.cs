using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Algorithms.ScanReduceOperations;
using ILGPU.Runtime;

namespace Tessera.Shaders;

/// <summary>Reading memory on CUDA and OpenCL: a group sums a unit.</summary>
static class StreamReadIlgpu
{
    const int Threads = 256, Loads = 4, Lanes = 32; // lanes read what follows each other, as in StreamRead.comp

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
        int share = unitQuads / (Threads / Lanes), sum = 0;
        long first = (long)Grid.IdxX * unitQuads + Group.IdxX / Lanes * share + Group.IdxX % Lanes;
        for (int at = 0; at < share; at += Lanes * Loads)
        {
            Quad a = x[first + at], b = x[first + at + Lanes], c = x[first + at + 2 * Lanes], d = x[first + at + 3 * Lanes];
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
