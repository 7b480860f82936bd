using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Shaders;

/// <summary>The partials of a split on the host. Each row's order is its own, whatever rows it is computed with and however wide vectors are: a score sums
/// even and odd dimensions apart, l sums 16 lanes apart, o sums positions in ascending order.</summary>
public static unsafe partial class AttentionOp
{
    /// <summary>Blocks between what is used and what is prefetched: they lie scattered, and processors do not read ahead across pages.</summary>
    const int Ahead = 4;

    /// <summary>Where the cache of a KV head lies: a block at Keys + block · Stride.</summary>
    readonly struct HeadCache
    {
        public readonly byte* Keys, Values;
        public readonly long Stride, Bytes; // from block to block, and of one
        readonly int after;                 // KV heads behind this one

        public HeadCache(Call call, int kvHead)
        {
            var a = call.Args<Args>();
            DType type = call.Tensors[AttentionOp.Keys].Type;
            long first = KvBlock.Offset(type, a.KvHeads, a.HeadDim, 0, kvHead);
            Keys = call.At<byte>(AttentionOp.Keys) + first;
            Values = call.At<byte>(AttentionOp.Values) + first;
            (Stride, Bytes) = (KvBlock.Offset(type, a.KvHeads, a.HeadDim, 1, 0), KvBlock.HeadBytes(type, a.HeadDim));
            after = a.Splits > 0 ? a.KvHeads - 1 - kvHead : 0;
        }

        /// <summary>In the order of reading: a split's blocks of keys, its blocks of values, and the <see cref="Ahead"/> that follow.</summary>
        /// <param name="blocks">Numbers of the split's blocks and of those behind.</param>
        /// <param name="count">Blocks of the split.</param>
        /// <param name="all">Blocks until the context ends.</param>
        public void Locate(int* blocks, int count, int all, byte** at)
        {
            for (int b = 0; b < count; b++)
            {
                at[b] = Keys + blocks[b] * Stride;
                at[count + b] = Values + blocks[b] * Stride;
            }
            for (int i = 0; i < Ahead; i++)
                at[2 * count + i] = after > 0 ? Keys + Bytes + blocks[Math.Min(i, count - 1)] * Stride // the next KV head
                    : count + i < all ? Keys + blocks[count + i] * Stride // the next split
                    : at[2 * count - 1];
        }
    }

    /// <summary>Rows that read a split together.</summary>
    ref struct Part
    {
        public byte** At;            // the split's blocks, as HeadCache.Locate orders them
        public int Blocks;           // of the split
        public int* Length;          // (rows): positions that each sees, from 0 on
        public int Start;            // the split's first position
        public bool First;           // these rows are the first that read it
        public float* Q;             // (rows, dim), scaled
        public float* P;             // (rows, SplitTokens): scores, then weights
        public float* M, L, O;       // (rows), (rows), (rows, dim): the partials
    }

    static void Partials<TKv, TRows>(int dim, in Part part) where TKv : struct, IKv where TRows : struct, IRows
    {
        int keys = 0; // of the row that sees most
        for (int row = 0; row < TRows.Count; row++) keys = Math.Max(keys, Math.Min(SplitTokens, part.Length[row] - part.Start));
        int blocks = (keys + KvBlock.Tokens - 1) / KvBlock.Tokens;
        byte** at = part.At;
        for (int b = 0; b < blocks; b++, at++)
            Scores<TKv, TRows>(*at, part.First ? at[Ahead] - *at : 0, part.Q, dim, part.P + b * KvBlock.Tokens);
        for (int row = 0; row < TRows.Count; row++)
            (part.M[row], part.L[row]) = Softmax(part.P + row * SplitTokens, part.Length[row] - part.Start, blocks * KvBlock.Tokens, TKv.Unit);
        Unsafe.InitBlockUnaligned(part.O, 0, (uint)(TRows.Count * dim * sizeof(float)));
        at = part.At + part.Blocks;
        for (int b = 0; b < blocks; b++, at++)
        {
            int tokens = Math.Min(KvBlock.Tokens, keys - b * KvBlock.Tokens), d = 0;
            long next = part.First ? at[Ahead] - *at : 0;
            if (Avx512F.IsSupported)
                for (; d + 64 <= dim; d += 64) Accumulate<TKv, TRows, Wide>(*at, next, part.P + b * KvBlock.Tokens, part.O + d, dim, d, tokens);
            for (; d < dim; d += 32) Accumulate<TKv, TRows, Narrow>(*at, next, part.P + b * KvBlock.Tokens, part.O + d, dim, d, tokens);
        }
    }

    /// <summary>scores[r, j] = q[r] · key[j] for the 16 tokens of a block.</summary>
    /// <param name="next">Bytes to what is prefetched.</param>
    static void Scores<TKv, TRows>(byte* keys, long next, float* q, int dim, float* scores) where TKv : struct, IKv where TRows : struct, IRows
    {
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        float* scales = (float*)(keys + KvBlock.Tokens * dim);
        int step = TKv.Scaled ? Tile.K : dim;
        for (int end = step, d = 0; end <= dim; end += step, scales += KvBlock.Tokens)
        {
            Vector512<float> e0 = default, e1 = default, e2 = default, e3 = default, o0 = default, o1 = default, o2 = default, o3 = default;
            for (; d < end; d += 4, keys += 4 * KvBlock.Tokens * TKv.Bytes)
            {
                Prefetch<TKv>(keys + next, 4 * KvBlock.Tokens);
                Add<TRows>(TKv.Key(keys, 0), q + d, dim, ref e0, ref e1, ref e2, ref e3);
                Add<TRows>(TKv.Key(keys, 1), q + d + 1, dim, ref o0, ref o1, ref o2, ref o3);
                Add<TRows>(TKv.Key(keys, 2), q + d + 2, dim, ref e0, ref e1, ref e2, ref e3);
                Add<TRows>(TKv.Key(keys, 3), q + d + 3, dim, ref o0, ref o1, ref o2, ref o3);
            }
            if (TKv.Scaled) Prefetch((byte*)scales + next);
            var scale = TKv.Scaled ? Vector512.Load(scales) : Vector512<float>.One;
            s0 = Vector512.FusedMultiplyAdd(e0 + o0, scale, s0);
            if (TRows.Count > 1) s1 = Vector512.FusedMultiplyAdd(e1 + o1, scale, s1);
            if (TRows.Count > 2) s2 = Vector512.FusedMultiplyAdd(e2 + o2, scale, s2);
            if (TRows.Count > 3) s3 = Vector512.FusedMultiplyAdd(e3 + o3, scale, s3);
        }
        s0.Store(scores);
        if (TRows.Count > 1) s1.Store(scores + SplitTokens);
        if (TRows.Count > 2) s2.Store(scores + 2 * SplitTokens);
        if (TRows.Count > 3) s3.Store(scores + 3 * SplitTokens);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Add<TRows>(Vector512<float> key, float* q, int dim, ref Vector512<float> s0, ref Vector512<float> s1, ref Vector512<float> s2,
        ref Vector512<float> s3) where TRows : struct, IRows
    {
        s0 = Vector512.FusedMultiplyAdd(key, Vector512.Create(*q), s0);
        if (TRows.Count > 1) s1 = Vector512.FusedMultiplyAdd(key, Vector512.Create(q[dim]), s1);
        if (TRows.Count > 2) s2 = Vector512.FusedMultiplyAdd(key, Vector512.Create(q[2 * dim]), s2);
        if (TRows.Count > 3) s3 = Vector512.FusedMultiplyAdd(key, Vector512.Create(q[3 * dim]), s3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Prefetch(byte* at)
    {
        if (Sse.IsSupported) Sse.Prefetch0(at);
    }

    /// <summary>So many numbers of the cache, 32 to 64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Prefetch<TKv>(byte* at, int numbers) where TKv : struct, IKv
    {
        Prefetch(at);
        if (numbers * TKv.Bytes > 64) Prefetch(at + 64);
        if (numbers * TKv.Bytes > 128) Prefetch(at + 128);
        if (numbers * TKv.Bytes > 128) Prefetch(at + 192);
    }

    /// <summary>Turns the scores of a row into weights relative to the largest of those that it sees, times <paramref name="unit"/>; zeros behind
    /// these.</summary>
    static (float Largest, float Total) Softmax(float* p, int sees, int keys, float unit)
    {
        if (sees <= 0)
        {
            new Span<float>(p, keys).Clear();
            return default;
        }
        var most = Vector512.Create(float.NegativeInfinity);
        for (int j = 0; j < keys; j += 16)
        {
            var within = Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(sees - j)).AsSingle();
            var scores = Vector512.ConditionalSelect(within, Vector512.Load(p + j), Vector512.Create(float.NegativeInfinity));
            scores.Store(p + j);
            most = Vector512.Max(most, scores);
        }
        float largest = Lanes.Max(most);
        Vector512<float> total = default;
        for (int j = 0; j < keys; j += 16)
        {
            var weights = Lanes.Exp(Vector512.Load(p + j) - Vector512.Create(largest));
            total += weights;
            (weights * Vector512.Create(unit)).Store(p + j);
        }
        return (largest, Lanes.Sum(total));
    }

    /// <summary>sum[r] += Σ_j p[r, j] · value[j] for 32 or 64 dimensions and the block's first <paramref name="tokens"/> tokens.</summary>
    static void Accumulate<TKv, TRows, TWidth>(byte* values, long next, float* p, float* sum, int dim, int d, int tokens)
        where TKv : struct, IKv where TRows : struct, IRows where TWidth : struct, IWidth
    {
        Sums<TWidth> r0 = new(sum), r1 = default, r2 = default, r3 = default;
        if (TRows.Count > 1) r1 = new(sum + dim);
        if (TRows.Count > 2) r2 = new(sum + 2 * dim);
        if (TRows.Count > 3) r3 = new(sum + 3 * dim);
        float* scales = (float*)(values + KvBlock.Tokens * dim) + d / Tile.K;
        byte* at = values + d * TKv.Bytes;
        for (int j = 0; j < tokens; j++, at += dim * TKv.Bytes, scales += dim / Tile.K)
        {
            Prefetch<TKv>(at + next, TWidth.Vectors * 16);
            if (TKv.Scaled && d == 0) Prefetch((byte*)scales + next);
            Vector512<float> v0 = TKv.Value(at, scales), v1 = TKv.Value(at + 16 * TKv.Bytes, scales), v2 = default, v3 = default;
            if (TWidth.Vectors == 4) (v2, v3) = (TKv.Value(at + 32 * TKv.Bytes, scales + 1), TKv.Value(at + 48 * TKv.Bytes, scales + 1));
            r0.Add(p[j], v0, v1, v2, v3);
            if (TRows.Count > 1) r1.Add(p[SplitTokens + j], v0, v1, v2, v3);
            if (TRows.Count > 2) r2.Add(p[2 * SplitTokens + j], v0, v1, v2, v3);
            if (TRows.Count > 3) r3.Add(p[3 * SplitTokens + j], v0, v1, v2, v3);
        }
        r0.Store(sum);
        if (TRows.Count > 1) r1.Store(sum + dim);
        if (TRows.Count > 2) r2.Store(sum + 2 * dim);
        if (TRows.Count > 3) r3.Store(sum + 3 * dim);
    }

    /// <summary>A row's sums of 32 or 64 dimensions, in registers.</summary>
    struct Sums<TWidth> where TWidth : struct, IWidth
    {
        Vector512<float> s0, s1, s2, s3;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Sums(float* from)
        {
            (s0, s1) = (Vector512.Load(from), Vector512.Load(from + 16));
            if (TWidth.Vectors == 4) (s2, s3) = (Vector512.Load(from + 32), Vector512.Load(from + 48));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Add(float weight, Vector512<float> v0, Vector512<float> v1, Vector512<float> v2, Vector512<float> v3)
        {
            var w = Vector512.Create(weight);
            s0 = Vector512.FusedMultiplyAdd(v0, w, s0);
            s1 = Vector512.FusedMultiplyAdd(v1, w, s1);
            if (TWidth.Vectors == 4) s2 = Vector512.FusedMultiplyAdd(v2, w, s2);
            if (TWidth.Vectors == 4) s3 = Vector512.FusedMultiplyAdd(v3, w, s3);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Store(float* to)
        {
            s0.Store(to);
            s1.Store(to + 16);
            if (TWidth.Vectors != 4) return;
            s2.Store(to + 32);
            s3.Store(to + 48);
        }
    }

    /// <summary>Rows that are computed together: the JIT makes a body for each.</summary>
    interface IRows
    {
        static abstract int Count { get; }
    }

    readonly struct One : IRows { public static int Count => 1; }

    readonly struct Two : IRows { public static int Count => 2; }

    readonly struct Three : IRows { public static int Count => 3; }

    readonly struct Four : IRows { public static int Count => 4; }

    /// <summary>Vectors of a row's sums that fit registers.</summary>
    interface IWidth
    {
        static abstract int Vectors { get; }
    }

    readonly struct Narrow : IWidth { public static int Vectors => 2; }

    readonly struct Wide : IWidth { public static int Vectors => 4; }
}
