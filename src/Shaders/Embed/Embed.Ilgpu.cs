using ILGPU;
using ILGPU.Runtime;
using Tessera.Runtime.Devices.Ilgpu;

namespace Tessera.Shaders;

/// <summary>Rows of a table for CUDA and OpenCL: a thread takes a word of a row.</summary>
static class EmbedIlgpu
{
    const int Threads = 128;

    /// <summary>WordK: 8: Q4, 4: Q8, 2: halves, 1: F32. Scales: where their plane begins, in bytes.</summary>
    public readonly record struct Shape(int Tokens, int Vocabulary, int Dim, int WordK, int IsF16, int HasCount, long Scales);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<EmbedOp.Args>();
        Tensor table = call.Tensors[EmbedOp.Table], count = call.Tensors[EmbedOp.Count];
        var shape = new Shape(a.Tokens, a.Vocabulary, a.Dim, Tile.PerWord(table.Type), table.Type == DType.F16 ? 1 : 0, count.IsNone ? 0 : 1,
            Tile.ScalePlane(table.Type, a.Vocabulary, a.Dim));
        var kernel = on.LoadStreamKernel<ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, Shape>(Kernel);
        ArrayView<byte> iv = view(call.Tensors[EmbedOp.Ids]), tv = view(table), xv = view(call.Tensors[EmbedOp.X]), cv = view(count);
        var config = new KernelConfig(new Index3D(a.Tokens, (Tile.Pad(a.Dim) / shape.WordK + Threads - 1) / Threads, 1), new Index3D(Threads, 1, 1));
        return () => kernel(config, iv, tv, xv, cv, shape);
    }

    static void Kernel(ArrayView<byte> ids, ArrayView<byte> table, ArrayView<byte> x, ArrayView<byte> count, Shape a)
    {
        int token = Grid.IdxX, word = Grid.IdxY * Threads + ILGPU.Group.IdxX, tiles = Tile.Tiles(a.Dim), words = Tile.K / a.WordK;
        if (a.HasCount != 0 && token >= count.Cast<int>()[0] || word >= tiles * words) return;
        int id = ids.Cast<int>()[token];
        bool there = id >= 0 && id < a.Vocabulary;
        int panel = there ? id / Tile.Rows : 0, row = there ? id % Tile.Rows : 0;
        var numbers = table.Cast<int>();
        int w = numbers[((long)panel * tiles * words + word) * Tile.Rows + row];
        float scale = 1, zero = 0;
        if (a.WordK >= 4)
        {
            long tile = a.Scales + ((long)panel * tiles + word / words) * (a.WordK == 8 ? Tile.Rows * 3 : Tile.Rows * 2);
            scale = Bits.Half(numbers[tile / 4 + row / 2] >> (row % 2 * 16));
            if (a.WordK == 8) zero = table[tile + Tile.Rows * 2 + row] / 16f;
        }
        var xs = x.Cast<float>();
        long at = (long)token * Tile.Pad(a.Dim) + word * a.WordK;
        for (int i = 0; i < a.WordK; i++) xs[at + i] = there ? (Element(w, i, a) - zero) * scale : 0;
    }

    static float Element(int word, int i, Shape a)
    {
        if (a.WordK == 8) return word >> (i % 4 * 8 + i / 4 * 4) & 15;
        if (a.WordK == 4) return word << (24 - 8 * i) >> 24;
        if (a.WordK == 1) return Interop.IntAsFloat((uint)word);
        if (a.IsF16 != 0) return Bits.Half(word >> (16 * i));
        return Interop.IntAsFloat((uint)(i == 0 ? word << 16 : word & unchecked((int)0xffff0000)));
    }
}
