using ILGPU;
using ILGPU.Runtime;
using Tessera.Runtime.Devices.Ilgpu;

namespace Tessera.Shaders;

/// <summary>The product for CUDA and OpenCL: a thread group makes the 16 rows of a panel for one token.</summary>
static class MatMulIlgpu
{
    const int Lanes = 32;          // lanes that read 512 consecutive bytes: 8 words of 16 rows
    const int Slices = 4;          // they take every fourth tile
    const int Threads = Lanes * Slices;
    const int Partials = Slices * 8 * Tile.Rows;

    public readonly record struct Shape(int Tokens, int Outer, int Inner, int Add, int PerWord, int Half, int Reduced, int HasBias, int HasCount);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<MatMulOp.Args>();
        if (call.Tensors[MatMulOp.W].Type == DType.Q4) throw new TesseraException("[MatMul] has no ILGPU body for weights in q4 yet; use q8");
        Tensor w = call.Tensors[MatMulOp.W], x = call.Tensors[MatMulOp.X], bias = call.Tensors[MatMulOp.Bias], count = call.Tensors[MatMulOp.Count];
        var shape = new Shape(a.Tokens, a.Outer, a.Inner, a.Add, Tile.PerWord(w.Type), w.Type == DType.F16 ? 1 : 0, x.Type == DType.A8 ? 1 : 0,
            bias.IsNone ? 0 : 1, count.IsNone ? 0 : 1);
        var kernel = on.LoadStreamKernel<ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, Shape>(Kernel);
        ArrayView<byte> wv = view(w), xv = view(x), yv = view(call.Tensors[MatMulOp.Y]), bv = view(bias), cv = view(count);
        var config = new KernelConfig(new Index3D(Tile.Panels(a.Outer), a.Tokens, 1), new Index3D(Threads, 1, 1));
        return () => kernel(config, wv, xv, yv, bv, cv, shape);
    }

    static void Kernel(ArrayView<byte> w, ArrayView<byte> x, ArrayView<byte> y, ArrayView<byte> bias, ArrayView<byte> count, Shape a)
    {
        var partial = SharedMemory.Allocate<float>(Partials);
        int panel = Grid.IdxX, token = Grid.IdxY;
        // All threads of a group agree on this, so that none waits at the barrier alone.
        bool real = a.HasCount == 0 || token < count.Cast<int>()[0];
        int lane = Group.IdxX % Lanes, slice = Group.IdxX / Lanes, row = lane % 4 * 4, word = lane / 4;
        int tiles = (a.Inner + 31) / 32, words = 32 / a.PerWord, tileInts = Tile.Rows * words;
        var values = w.Cast<int>();
        long panelAt = (long)panel * tiles * tileInts, scaleAt = (long)((a.Outer + 15) / 16) * tiles * tileInts + (long)panel * tiles * 8; // in 32-bit words
        int strideWords = a.Reduced != 0 ? (tiles * 40 + 63) / 64 * 16 : tiles * 32;
        var xs = x.Cast<int>();
        long xRow = (long)token * strideWords;
        float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        for (int tile = slice; real && tile < tiles; tile += Slices)
            for (int part = 0; part < words / 8; part++)
            {
                long at = panelAt + (long)tile * tileInts + (part * 8 + word) * 16 + row;
                int w0 = values[at], w1 = values[at + 1], w2 = values[at + 2], w3 = values[at + 3];
                int k = (part * 8 + word) * a.PerWord;
                if (a.PerWord == 4)
                {
                    int low = values[scaleAt + tile * 8 + row / 2], high = values[scaleAt + tile * 8 + row / 2 + 1];
                    float c0 = Bits.Half(low), c1 = Bits.Half(low >> 16), c2 = Bits.Half(high), c3 = Bits.Half(high >> 16);
                    if (a.Reduced != 0)
                    {
                        int q = xs[xRow + tile * 8 + word];
                        float scale = Interop.IntAsFloat((uint)xs[xRow + tiles * 8 + tile]);
                        s0 += Bits.Dot(w0, q) * (c0 * scale);
                        s1 += Bits.Dot(w1, q) * (c1 * scale);
                        s2 += Bits.Dot(w2, q) * (c2 * scale);
                        s3 += Bits.Dot(w3, q) * (c3 * scale);
                    }
                    else
                    {
                        float d0 = 0, d1 = 0, d2 = 0, d3 = 0;
                        for (int j = 0; j < 4; j++)
                        {
                            float v = Interop.IntAsFloat((uint)xs[xRow + tile * 32 + k + j]);
                            int shift = 24 - 8 * j;
                            d0 += (w0 << shift >> 24) * v;
                            d1 += (w1 << shift >> 24) * v;
                            d2 += (w2 << shift >> 24) * v;
                            d3 += (w3 << shift >> 24) * v;
                        }
                        s0 += d0 * c0;
                        s1 += d1 * c1;
                        s2 += d2 * c2;
                        s3 += d3 * c3;
                    }
                    continue;
                }
                for (int j = 0; j < a.PerWord; j++)
                {
                    float v = Interop.IntAsFloat((uint)xs[xRow + tile * 32 + k + j]);
                    s0 += Element(w0, j, a) * v;
                    s1 += Element(w1, j, a) * v;
                    s2 += Element(w2, j, a) * v;
                    s3 += Element(w3, j, a) * v;
                }
            }

        // the sums of a row, in the order of slices and words
        int slot = (slice * 8 + word) * Tile.Rows + row;
        partial[slot] = s0;
        partial[slot + 1] = s1;
        partial[slot + 2] = s2;
        partial[slot + 3] = s3;
        Group.Barrier();
        int n = panel * Tile.Rows + Group.IdxX;
        if (!real || Group.IdxX >= Tile.Rows || n >= a.Outer) return;
        float sum = 0;
        for (int i = 0; i < Slices * 8; i++) sum += partial[i * Tile.Rows + Group.IdxX];
        if (a.HasBias != 0) sum += bias.Cast<float>()[n];
        var ys = y.Cast<float>();
        long yAt = (long)token * ((a.Outer + 31) / 32 * 32) + n;
        ys[yAt] = a.Add != 0 ? ys[yAt] + sum : sum;
    }

    static float Element(int word, int j, Shape a) =>
        a.PerWord == 1 ? Interop.IntAsFloat((uint)word) : a.Half != 0 ? Bits.Half(word >> (16 * j))
            : Interop.IntAsFloat((uint)(j == 0 ? word << 16 : word & unchecked((int)0xffff0000)));
}
