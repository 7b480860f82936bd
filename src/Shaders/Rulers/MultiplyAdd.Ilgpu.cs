using ILGPU;
using ILGPU.Runtime;

namespace Tessera.Shaders;

/// <summary>Multiply-adds in registers on CUDA and OpenCL; int8 dot products have no name in ILGPU.</summary>
static class MultiplyAddIlgpu
{
    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<MultiplyAddOp.Args>();
        if (call.Tensors[MultiplyAddOp.Y].Type != DType.F32) throw new TesseraException("[MultiplyAdd] of bytes has no body for CUDA and OpenCL");
        var kernel = on.LoadStreamKernel<ArrayView<float>, ArrayView<float>, int>(Kernel);
        ArrayView<float> x = view(call.Tensors[MultiplyAddOp.X]).Cast<float>(), y = view(call.Tensors[MultiplyAddOp.Y]).Cast<float>();
        return () => kernel(new KernelConfig(a.Lanes / MultiplyAddOp.Group, MultiplyAddOp.Group), x, y, a.Rounds);
    }

    static void Kernel(ArrayView<float> x, ArrayView<float> y, int rounds)
    {
        float m = x[0], n = x[1], a = 0, b = 1, c = 2, d = 3, e = 4, f = 5, g = 6, h = 7, i = 8, j = 9, k = 10, l = 11;
        for (int r = 0; r < rounds; r++)
        {
            a = a * m + n;
            b = b * m + n;
            c = c * m + n;
            d = d * m + n;
            e = e * m + n;
            f = f * m + n;
            g = g * m + n;
            h = h * m + n;
            i = i * m + n;
            j = j * m + n;
            k = k * m + n;
            l = l * m + n;
        }
        y[Grid.GlobalIndex.X] = a + b + c + d + e + f + g + h + i + j + k + l;
    }
}
