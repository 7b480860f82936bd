using ILGPU;
using ILGPU.Runtime;

namespace Tessera.Shaders;

/// <summary>The experts' answers into the residual on CUDA and OpenCL: a group takes a part of a token, a thread 4 columns.</summary>
static class CombineIlgpu
{
    public readonly record struct Shape(int Dim, int PerToken, int HasCount);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<CombineOp.Args>();
        var t = call.Tensors;
        var shape = new Shape(a.Dim, a.PerToken, t[CombineOp.Count].IsNone ? 0 : 1);
        var kernel = on.LoadStreamKernel<ArrayView<float>, ArrayView<float>, ArrayView<float>, ArrayView<byte>, Shape>(Kernel);
        ArrayView<float> z = view(t[CombineOp.Z]).Cast<float>(), shares = view(t[CombineOp.Shares]).Cast<float>(), x = view(t[CombineOp.X]).Cast<float>();
        ArrayView<byte> count = view(t[CombineOp.Count]);
        int threads = 64;
        var config = new KernelConfig(new Index3D(a.Tokens, (a.Dim + 4 * threads - 1) / (4 * threads), 1), new Index3D(threads, 1, 1));
        return () => kernel(config, z, shares, x, count, shape);
    }

    static void Kernel(ArrayView<float> z, ArrayView<float> shares, ArrayView<float> x, ArrayView<byte> count, Shape a)
    {
        int token = Grid.IdxX, c = (Grid.IdxY * Group.DimX + Group.IdxX) * 4, left = a.Dim - c, padded = Tile.Pad(a.Dim);
        if (left <= 0 || token >= GroupsIlgpu.RealRows(count, a.HasCount, token + 1)) return;
        Floats4 sum = default;
        for (int i = 0; i < a.PerToken; i++)
        {
            long pair = (long)token * a.PerToken + i;
            sum = GroupsIlgpu.Load(z, pair * padded + c, left) * shares[pair] + sum;
        }
        long at = (long)token * padded + c;
        sum += GroupsIlgpu.Load(x, at, left);
        if (left >= 4)
        {
            x.Cast<Floats4>()[at / 4] = sum;
            return;
        }
        x[at] = sum.X;
        if (left > 1) x[at + 1] = sum.Y;
        if (left > 2) x[at + 2] = sum.Z;
    }
}
