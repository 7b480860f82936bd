using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;
using Tessera.Runtime.Devices.Ilgpu;

namespace Tessera.Shaders;

/// <summary>Norm, rotation and what goes to the cache on CUDA and OpenCL: a group takes a head of a token.</summary>
static class QkRopeIlgpu
{
    const int Threads = 64, MaxDim = AttentionOp.MaxHeadDim, Place = KvBlock.Tokens;

    /// <param name="PerWord">Numbers in a word of the cache. 4: Q8, 2: F16, 1: F32.</param>
    public readonly record struct Shape(int Heads, int KvHeads, int HeadDim, float Eps, int PerWord, int HasCount);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<QkRopeOp.Args>();
        var t = call.Tensors;
        var shape = new Shape(a.Heads, a.KvHeads, a.HeadDim, a.Eps, 4 / t[QkRopeOp.Keys].Type.ElementBytes(), t[QkRopeOp.Count].IsNone ? 0 : 1);
        var kernel = on.LoadStreamKernel<ArrayView<float>, ArrayView<float>, ArrayView<float>, ArrayView<float>, ArrayView<int>, ArrayView<byte>,
            ArrayView<byte>, ArrayView<byte>, Shape>(Kernel);
        ArrayView<float> qkv = view(t[QkRopeOp.Qkv]).Cast<float>(), qNorm = view(t[QkRopeOp.QNorm]).Cast<float>(),
            kNorm = view(t[QkRopeOp.KNorm]).Cast<float>(), rope = view(t[QkRopeOp.Rope]).Cast<float>();
        ArrayView<int> slots = view(t[QkRopeOp.Slots]).Cast<int>();
        ArrayView<byte> keys = view(t[QkRopeOp.Keys]), values = view(t[QkRopeOp.Values]), count = view(t[QkRopeOp.Count]);
        var config = new KernelConfig(new Index3D(a.Tokens, a.Heads + 2 * a.KvHeads, 1), new Index3D(GroupsIlgpu.Threads(on, Threads), 1, 1));
        return () => kernel(config, qkv, qNorm, kNorm, rope, slots, keys, values, count, shape);
    }

    static void Kernel(ArrayView<float> qkv, ArrayView<float> qNorm, ArrayView<float> kNorm, ArrayView<float> rope, ArrayView<int> slots,
        ArrayView<byte> keys, ArrayView<byte> values, ArrayView<byte> count, Shape a)
    {
        var head = SharedMemory.Allocate<float>(MaxDim);
        var partial = SharedMemory.Allocate<float>(Threads);
        var scales = SharedMemory.Allocate<float>(MaxDim / Tile.K);
        int token = Grid.IdxX, h = Grid.IdxY, thread = Group.IdxX, threads = Group.DimX;
        if (token >= GroupsIlgpu.RealRows(count, a.HasCount, token + 1)) return;
        int dim = a.HeadDim, pairs = dim / 2, all = a.Heads + 2 * a.KvHeads;
        bool query = h < a.Heads, value = h >= a.Heads + a.KvHeads;
        long x = (long)token * (all * dim) + h * dim; // whole tiles, so no padding
        float squares = 0;
        for (int d = thread; d < dim; d += threads)
        {
            float v = qkv[x + d];
            head[d] = v;
            squares += v * v;
        }
        squares = GroupsIlgpu.Sum(partial, squares, thread, threads);
        if (!value)
        {
            float factor = 1 / XMath.Sqrt(squares / dim + a.Eps);
            for (int d = thread; d < pairs; d += threads)
            {
                float low = head[d] * factor * (query ? qNorm[d] : kNorm[d]), high = head[d + pairs] * factor * (query ? qNorm[d + pairs] : kNorm[d + pairs]);
                float c = rope[(long)token * dim + d], s = rope[(long)token * dim + d + pairs];
                head[d] = low * c - high * s;
                head[d + pairs] = high * c + low * s;
            }
            Group.Barrier();
        }
        if (query)
        {
            for (int d = thread; d < dim; d += threads) qkv[x + d] = head[d];
            return;
        }
        int slot = slots[token], kvHead = value ? h - a.Heads - a.KvHeads : h - a.Heads;
        if (slot < 0) return;
        // in words: with Q8 F32 scales follow the values
        int words = dim / a.PerWord, place = slot % Place;
        long block = ((long)(slot / Place) * a.KvHeads + kvHead) * (Place * words + (a.PerWord == 4 ? Place * dim / Tile.K : 0));
        if (a.PerWord == 4)
        {
            for (int s = thread; s < dim / Tile.K; s += threads)
            {
                int largest = 0;
                for (int d = s * Tile.K; d < (s + 1) * Tile.K; d++) largest = IntrinsicMath.Max(largest, StoreIlgpu.Magnitude(head[d]));
                scales[s] = StoreIlgpu.Scale(largest);
                long at = block + Place * words;
                if (value) values.Cast<float>()[at + place * dim / Tile.K + s] = scales[s];
                else keys.Cast<float>()[at + s * Place + place] = scales[s];
            }
            Group.Barrier();
        }
        for (int word = thread; word < words; word += threads)
        {
            int packed = Pack(head, scales, word, a.PerWord);
            if (value) values.Cast<int>()[block + place * words + word] = packed;
            else keys.Cast<int>()[block + word * Place + place] = packed;
        }
    }

    static int Pack(ArrayView<float> head, ArrayView<float> scales, int word, int perWord)
    {
        int d = word * perWord;
        if (perWord == 4) return StoreIlgpu.Packed(StoreIlgpu.Quantised(new(head[d], head[d + 1], head[d + 2], head[d + 3]), scales[d / Tile.K]));
        if (perWord == 2) return Bits.ToHalf(head[d]) | Bits.ToHalf(head[d + 1]) << 16;
        return (int)Interop.FloatAsInt(head[d]);
    }
}
