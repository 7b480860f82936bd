using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;
using Tessera.Runtime.Devices.Ilgpu;

namespace Tessera.Shaders;

/// <summary>Attention for CUDA and OpenCL: a thread group takes one token and up to 8 heads of one KV head, where partials are left of one split.</summary>
static class AttentionIlgpu
{
    const int Threads = 64, MaxHeads = 8, MaxDim = AttentionOp.MaxHeadDim, Block = KvBlock.Tokens;

    public readonly record struct Shape(int Tokens, int Heads, int KvHeads, int HeadDim, int QCols, int MaxBlocks, int Splits, float Scale, int PerWord,
        int Reduced, int HasCount, int Zero);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<AttentionOp.Args>();
        var t = call.Tensors;
        if (t[AttentionOp.Keys].Type == DType.Q8) throw new TesseraException("[Attention] has no ILGPU body for a cache in q8 yet; use f16");
        var shape = new Shape(a.Tokens, a.Heads, a.KvHeads, a.HeadDim, a.QCols, a.MaxBlocks, a.Splits, a.Scale, Tile.PerWord(t[AttentionOp.Keys].Type),
            t[AttentionOp.Y].Type == DType.A8 ? 1 : 0, t[AttentionOp.Count].IsNone ? 0 : 1, Zero: 0);
        var kernel = on.LoadStreamKernel<ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>,
            ArrayView<byte>, Shape>(Kernel);
        ArrayView<byte> q = view(t[0]), keys = view(t[1]), values = view(t[2]), blocks = view(t[3]), sequences = view(t[4]), positions = view(t[5]),
            y = view(t[6]), count = view(t[7]);
        int group = a.Heads / a.KvHeads;
        int groups = (group + MaxHeads - 1) / MaxHeads * Math.Max(1, a.Splits);
        var config = new KernelConfig(new Index3D(a.Tokens, a.KvHeads, groups), new Index3D(Threads, 1, 1));
        return () => kernel(config, q, keys, values, blocks, sequences, positions, y, count, shape);
    }

    static void Kernel(ArrayView<byte> qs, ArrayView<byte> keys, ArrayView<byte> values, ArrayView<byte> blocks, ArrayView<byte> sequences,
        ArrayView<byte> positions, ArrayView<byte> y, ArrayView<byte> count, Shape a)
    {
        var q = SharedMemory.Allocate<float>(MaxHeads * MaxDim);
        var sum = SharedMemory.Allocate<float>(MaxHeads * MaxDim);
        var p = SharedMemory.Allocate<float>(MaxHeads * Block);
        var merged = SharedMemory.Allocate<float>(MaxHeads * MaxDim);
        var state = SharedMemory.Allocate<float>(MaxHeads * 5); // of a split: largest, total, shrink; of the splits so far: largest, total
        int token = Grid.IdxX, kvHead = Grid.IdxY, thread = Group.IdxX, dim = a.HeadDim, words = dim / a.PerWord;
        int group = a.Heads / a.KvHeads, parts = (group + MaxHeads - 1) / MaxHeads, head0 = kvHead * group + Grid.IdxZ % parts * MaxHeads;
        int heads = IntrinsicMath.Min(MaxHeads, (kvHead + 1) * group - head0);
        bool real = a.HasCount == 0 || token < count.Cast<int>()[0];
        int context = real ? positions.Cast<int>()[token] + 1 : 0;
        long from = (long)token * ((a.QCols + 31) / 32 * 32) + head0 * dim, table = real ? (long)sequences.Cast<int>()[token] * a.MaxBlocks : 0;
        for (int i = thread; i < heads * dim; i += Threads) q[i] = qs.Cast<float>()[from + i] * a.Scale;
        int first = Grid.IdxZ / parts * AttentionOp.SplitTokens;
        if (a.Splits > 0) context = IntrinsicMath.Min(context, first + AttentionOp.SplitTokens);
        Group.Barrier();

        for (int start = first; start < context; start += Block)
        {
            int here = IntrinsicMath.Min(Block, context - start);
            bool opens = start % AttentionOp.SplitTokens == 0, closes = (start + Block) % AttentionOp.SplitTokens == 0 || start + Block >= context;
            long offset = ((long)blocks.Cast<int>()[table + start / Block] * a.KvHeads + kvHead) * Block * words;
            // scores
            for (int i = thread; i < heads * Block; i += Threads)
            {
                int h = i / Block, j = i % Block;
                float s = 0;
                for (int word = 0; word < words; word++)
                {
                    int bits = keys.Cast<int>()[offset + word * Block + j];
                    if (a.PerWord == 2) s += Bits.Half(bits) * q[h * dim + 2 * word] + Bits.Half(bits >> 16) * q[h * dim + 2 * word + 1];
                    else s += Interop.IntAsFloat((uint)bits) * q[h * dim + word];
                }
                p[i] = s;
            }
            Group.Barrier();
            // weights relative to the running maximum
            if (thread < heads)
            {
                float largest = opens ? p[thread * Block] : state[thread];
                for (int j = 0; j < here; j++) largest = XMath.Max(largest, p[thread * Block + j]);
                float shrink = opens ? 0 : XMath.Exp(state[thread] - largest), added = 0;
                for (int j = 0; j < here; j++)
                {
                    float weight = XMath.Exp(p[thread * Block + j] - largest);
                    p[thread * Block + j] = weight;
                    added += weight;
                }
                state[thread] = largest;
                state[MaxHeads + thread] = opens ? added : state[MaxHeads + thread] * shrink + added;
                state[2 * MaxHeads + thread] = shrink;
            }
            Group.Barrier();
            // values
            for (int i = thread; i < heads * words; i += Threads)
            {
                int h = i / words, word = i % words, at = h * dim + word * a.PerWord;
                float shrink = state[2 * MaxHeads + h], s0 = opens ? 0 : sum[at] * shrink, s1 = opens || a.PerWord == 1 ? 0 : sum[at + 1] * shrink;
                for (int j = 0; j < here; j++)
                {
                    int bits = values.Cast<int>()[offset + j * words + word];
                    float weight = p[h * Block + j];
                    if (a.PerWord == 2)
                    {
                        s0 += Bits.Half(bits) * weight;
                        s1 += Bits.Half(bits >> 16) * weight;
                    }
                    else s0 += Interop.IntAsFloat((uint)bits) * weight;
                }
                sum[at] = s0;
                if (a.PerWord == 2) sum[at + 1] = s1;
            }
            Group.Barrier();
            if (!closes || a.Splits > 0) continue;
            // the split joins those before it
            for (int i = thread; i < heads * dim; i += Threads)
            {
                int h = i / dim;
                if (start < AttentionOp.SplitTokens) merged[i] = sum[i];
                else merged[i] = MergeIlgpu.Shares(state[3 * MaxHeads + h], state[h]).Merge(merged[i], sum[i], a.Zero);
            }
            Group.Barrier();
            if (thread < heads)
            {
                bool opening = start < AttentionOp.SplitTokens;
                float before = opening ? state[thread] : state[3 * MaxHeads + thread], total = state[MaxHeads + thread];
                if (!opening) total = MergeIlgpu.Shares(before, state[thread]).Merge(state[4 * MaxHeads + thread], total, a.Zero);
                state[4 * MaxHeads + thread] = total;
                state[3 * MaxHeads + thread] = XMath.Max(before, state[thread]);
            }
            Group.Barrier();
        }

        if (a.Splits > 0)
        {
            for (int i = thread; first < context && i < heads * (dim + 2); i += Threads)
            {
                int h = i / (dim + 2), d = i % (dim + 2);
                long of = ((long)token * a.Heads + head0 + h) * a.Splits + first / AttentionOp.SplitTokens;
                y.Cast<float>()[of * (dim + 2) + d] = d < dim ? sum[h * dim + d] : d == dim ? state[h] : state[MaxHeads + h];
            }
            return;
        }
        // the activations, in scale blocks
        int cols = a.Heads * dim, padded = cols;
        for (int i = thread; real && i < heads * dim / 32; i += Threads)
        {
            int at = i * 32, col = head0 * dim + at;
            float total = state[4 * MaxHeads + at / dim];
            if (a.Reduced == 0)
            {
                for (int c = 0; c < 32; c++) y.Cast<float>()[(long)token * padded + col + c] = merged[at + c] / total;
                continue;
            }
            float largest = 0;
            for (int c = 0; c < 32; c++) largest = XMath.Max(largest, XMath.Abs(merged[at + c] / total));
            float scale = largest < 1e-30f ? 0 : largest / 127;
            long yRow = (long)token * ((padded + padded / 4 + 63) / 64 * 64);
            int all = 0;
            for (int c = 0; c < 32; c++)
            {
                int v = scale == 0 ? 0 : (int)XMath.RoundToEven(merged[at + c] / total / scale);
                all += v;
                y[yRow + col + c] = (byte)v;
            }
            y.Cast<float>()[(yRow + padded) / 4 + col / 32] = scale;
            y.Cast<int>()[(yRow + padded + padded / 8) / 4 + col / 32] = all;
        }
    }
}
