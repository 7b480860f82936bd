using ILGPU;
using ILGPU.Runtime;

namespace Tessera.Shaders;

/// <summary>Merges the partials of a token's splits on CUDA and OpenCL: a group takes some words of 4 numbers of a token.</summary>
static class AttentionMergeIlgpu
{
    const int Words = 64; // of 4 numbers, that a group takes

    public readonly record struct Shape(int Heads, int HeadDim, int Splits, int A8, int HasCount, int Zero);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<AttentionMergeOp.Args>();
        var t = call.Tensors;
        var shape = new Shape(a.Heads, a.HeadDim, a.Splits, t[AttentionMergeOp.Y].Type == DType.A8 ? 1 : 0, t[AttentionMergeOp.Count].IsNone ? 0 : 1, Zero: 0);
        var kernel = on.LoadStreamKernel<ArrayView<float>, ArrayView<int>, ArrayView<byte>, ArrayView<byte>, Shape>(Kernel);
        var partials = view(t[AttentionMergeOp.Partials]).Cast<float>();
        var positions = view(t[AttentionMergeOp.Positions]).Cast<int>();
        ArrayView<byte> y = view(t[AttentionMergeOp.Y]), count = view(t[AttentionMergeOp.Count]);
        var groups = new Index3D(a.Tokens, (a.Heads * a.HeadDim / 4 + Words - 1) / Words, 1);
        var config = new KernelConfig(groups, new Index3D(GroupsIlgpu.Threads(on, Words), 1, 1));
        return () => kernel(config, partials, positions, y, count, shape);
    }

    static void Kernel(ArrayView<float> partials, ArrayView<int> positions, ArrayView<byte> y, ArrayView<byte> count, Shape a)
    {
        var shared = SharedMemory.Allocate<int>(StoreIlgpu.Shared);
        int token = Grid.IdxX, thread = Group.IdxX, cols = a.Heads * a.HeadDim;
        if (token >= GroupsIlgpu.RealRows(count, a.HasCount, token + 1)) return;
        for (int at = 0; at < Words; at += Group.DimX)
        {
            int word = Grid.IdxY * Words + at + thread;
            bool real = word * 4 < cols;
            StoreIlgpu.Word(y, a.A8 != 0, (long)token * StoreIlgpu.Stride(a.A8 != 0, cols), cols, real ? word : -1,
                real ? Merged(partials, positions, token, word, a) : default, shared, thread);
        }
    }

    static Floats4 Merged(ArrayView<float> partials, ArrayView<int> positions, int token, int word, Shape a)
    {
        int head = word * 4 / a.HeadDim, d = word * 4 % a.HeadDim;
        long at = ((long)token * a.Heads + head) * a.Splits * (a.HeadDim + 2);
        float m = partials[at + a.HeadDim], l = partials[at + a.HeadDim + 1];
        var o = Numbers(partials, at + d);
        int last = positions[token] / AttentionOp.SplitTokens;
        for (int s = 1; s <= last; s++)
        {
            at += a.HeadDim + 2;
            float now = partials[at + a.HeadDim];
            var share = MergeIlgpu.Shares(m, now);
            l = share.Merge(l, partials[at + a.HeadDim + 1], a.Zero);
            var next = Numbers(partials, at + d);
            o = new(share.Merge(o.X, next.X, a.Zero), share.Merge(o.Y, next.Y, a.Zero), share.Merge(o.Z, next.Z, a.Zero), share.Merge(o.W, next.W, a.Zero));
            m = IntrinsicMath.Max(m, now);
        }
        return new(o.X / l, o.Y / l, o.Z / l, o.W / l);
    }

    static Floats4 Numbers(ArrayView<float> partials, long at) => new(partials[at], partials[at + 1], partials[at + 2], partials[at + 3]);
}
