using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Shaders;

public static unsafe partial class AttentionOp
{
    /// <summary>Rows that are computed together.</summary>
    const int Quad = 4;

    const int MaxRows = 64;

    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        int tokens = call.Count(Count, a.Tokens), group = a.Heads / a.KvHeads;
        int* sequences = call.At<int>(Sequences);
        int together = Math.Max(1, Math.Min(TileTokens, MaxRows / group));
        for (int unit = begin; unit < end; unit++)
        {
            int first = unit / a.KvHeads * TileTokens, last = Math.Min(first + TileTokens, tokens);
            while (first < last)
            {
                int run = 1; // tokens of one sequence
                while (run < together && first + run < last && sequences[first + run] == sequences[first]) run++;
                for (int head = 0; head < group; head += MaxRows)
                    TileRows(call, first, run, unit % a.KvHeads, head, Math.Min(group - head, MaxRows));
                first += run;
            }
        }
    }

    /// <summary>A tile of rows: (token, head) for <paramref name="tokens"/> tokens and <paramref name="heads"/> heads of one KV head.</summary>
    [SkipLocalsInit]
    static void TileRows(Call call, int token, int tokens, int kvHead, int firstHead, int heads)
    {
        var a = call.Args<Args>();
        DType type = call.Tensors[Keys].Type;
        bool halves = type == DType.F16;
        int rows = tokens * heads, quads = (rows + Quad - 1) / Quad, dim = a.HeadDim;
        int head0 = kvHead * (a.Heads / a.KvHeads) + firstHead;
        // F16 reads as 2^-112 times its value: the factor is folded into q and into the probabilities.
        float qScale = halves ? a.Scale * Lanes.HalfScale : a.Scale;

        float* q = stackalloc float[quads * Quad * dim];      // (rows, dim), scaled
        float* sum = stackalloc float[quads * Quad * dim];    // (rows, dim)
        float* p = stackalloc float[quads * Quad * 16];       // (rows, 16)
        float* largest = stackalloc float[quads * Quad], total = stackalloc float[quads * Quad];
        int* length = stackalloc int[quads * Quad];
        int longest = 0;
        for (int row = 0; row < quads * Quad; row++)
        {
            int real = Math.Min(row, rows - 1);
            float* from = call.At<float>(Q) + (long)(token + real / heads) * Tile.Pad(a.QCols) + (head0 + real % heads) * dim;
            for (int d = 0; d < dim; d += 16)
            {
                (Vector512.Load(from + d) * Vector512.Create(qScale)).Store(q + row * dim + d);
                Vector512<float>.Zero.Store(sum + row * dim + d);
            }
            (largest[row], total[row]) = (float.NegativeInfinity, 0);
            length[row] = call.At<int>(Positions)[token + real / heads] + 1;
            longest = Math.Max(longest, length[row]);
        }

        int* blocks = call.At<int>(Blocks) + (long)call.At<int>(Sequences)[token] * a.MaxBlocks;
        for (int start = 0; start < longest; start += KvBlock.Tokens)
        {
            long offset = KvBlock.Offset(type, a.KvHeads, dim, blocks[start / KvBlock.Tokens], kvHead);
            byte* keys = call.At<byte>(Keys) + offset, values = call.At<byte>(Values) + offset;
            // Blocks lie scattered, and processors do not read ahead across pages: the next block is asked for while this one is used.
            long next = start + KvBlock.Tokens < longest ? KvBlock.Offset(type, a.KvHeads, dim, blocks[start / KvBlock.Tokens + 1], kvHead) - offset : 0;
            for (int quad = 0; quad < quads; quad++)
            {
                int row = quad * Quad, visible = 0;
                for (int i = 0; i < Quad; i++) visible = Math.Max(visible, Math.Min(KvBlock.Tokens, length[row + i] - start));
                if (visible <= 0) continue;
                if (halves) Scores<HalfKv>(keys, next, q + row * dim, dim, p + row * 16);
                else if (type == DType.Q8) ScoresQ8(keys, next, q + row * dim, dim, p + row * 16);
                else Scores<FloatKv>(keys, next, q + row * dim, dim, p + row * 16);
                for (int i = row; i < row + Quad; i++)
                    Softmax(p + i * 16, length[i] - start, ref largest[i], ref total[i], sum + i * dim, dim, halves);
                if (halves) Accumulate<HalfKv>(values, next, p + row * 16, sum + row * dim, dim, visible);
                else if (type == DType.Q8) AccumulateQ8(values, next, p + row * 16, sum + row * dim, dim, visible);
                else Accumulate<FloatKv>(values, next, p + row * 16, sum + row * dim, dim, visible);
                next = 0; // once is enough
            }
        }

        Tensor y = call.Tensors[Y];
        for (int row = 0; row < rows; row++)
        {
            byte* to = (byte*)y.Address + (long)(token + row / heads) * Shaders.Rows.Stride(y.Type, y.Cols);
            var inverse = Vector512.Create(1 / total[row]);
            for (int d = 0; d < dim; d += 32)
                Lanes.StoreBlock(to, y.Type, y.Cols, ((head0 + row % heads) * dim + d) / 32,
                    Vector512.Load(sum + row * dim + d) * inverse, Vector512.Load(sum + row * dim + d + 16) * inverse);
        }
    }

    /// <summary>scores[i, j] = q[i] · key[j] for 4 rows and the 16 tokens of a block.</summary>
    static void Scores<TKv>(byte* keys, long next, float* q, int dim, float* scores) where TKv : struct, IKv
    {
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        float* q0 = q, q1 = q + dim, q2 = q1 + dim, q3 = q2 + dim;
        for (int d = 0; d < dim; d += TKv.PerWord)
        {
            Prefetch(keys + d / TKv.PerWord * 64 + next);
            var words = Vector512.Load((int*)(keys + d / TKv.PerWord * 64));
            for (int j = 0; j < TKv.PerWord; j++)
            {
                var k = TKv.Key(words, j);
                s0 = Vector512.FusedMultiplyAdd(k, Vector512.Create(q0[d + j]), s0);
                s1 = Vector512.FusedMultiplyAdd(k, Vector512.Create(q1[d + j]), s1);
                s2 = Vector512.FusedMultiplyAdd(k, Vector512.Create(q2[d + j]), s2);
                s3 = Vector512.FusedMultiplyAdd(k, Vector512.Create(q3[d + j]), s3);
            }
        }
        s0.Store(scores);
        s1.Store(scores + 16);
        s2.Store(scores + 32);
        s3.Store(scores + 48);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Prefetch(byte* at)
    {
        if (Sse.IsSupported) Sse.Prefetch0(at);
    }

    /// <summary>Turns the scores of a block into weights relative to the running maximum, and rescales what was summed before.</summary>
    static void Softmax(float* p, int tokens, ref float largest, ref float total, float* sum, int dim, bool halves)
    {
        if (tokens <= 0)
        {
            Vector512<float>.Zero.Store(p);
            return;
        }
        var within = Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(tokens)).AsSingle();
        var scores = Vector512.ConditionalSelect(within, Vector512.Load(p), Vector512.Create(float.NegativeInfinity));
        float blockMax = Lanes.Max(scores);
        if (!(blockMax <= largest))
        {
            float shrink = Lanes.Exp(Vector512.Create(largest - blockMax))[0];
            if (float.IsNegativeInfinity(largest)) shrink = 0;
            total *= shrink;
            for (int d = 0; d < dim; d += 16) (Vector512.Load(sum + d) * Vector512.Create(shrink)).Store(sum + d);
            largest = blockMax;
        }
        var weights = Vector512.ConditionalSelect(within, Lanes.Exp(scores - Vector512.Create(largest)), Vector512<float>.Zero);
        total += Vector512.Sum(weights);
        (halves ? weights * Vector512.Create(Lanes.HalfScale) : weights).Store(p);
    }

    /// <summary>sum[i] += Σ_j p[i, j] · value[j] for 4 rows and the block's first <paramref name="tokens"/> tokens.</summary>
    static void Accumulate<TKv>(byte* values, long next, float* p, float* sum, int dim, int tokens) where TKv : struct, IKv
    {
        float* p1 = p + 16, p2 = p + 32, p3 = p + 48;
        for (int d = 0; d < dim; d += 16)
        {
            var a0 = Vector512.Load(sum + d);
            var a1 = Vector512.Load(sum + dim + d);
            var a2 = Vector512.Load(sum + 2 * dim + d);
            var a3 = Vector512.Load(sum + 3 * dim + d);
            byte* at = values + d * (4 / TKv.PerWord);
            for (int j = 0; j < tokens; j++, at += dim * (4 / TKv.PerWord))
            {
                Prefetch(at + next);
                var v = TKv.Value(at);
                a0 = Vector512.FusedMultiplyAdd(v, Vector512.Create(p[j]), a0);
                a1 = Vector512.FusedMultiplyAdd(v, Vector512.Create(p1[j]), a1);
                a2 = Vector512.FusedMultiplyAdd(v, Vector512.Create(p2[j]), a2);
                a3 = Vector512.FusedMultiplyAdd(v, Vector512.Create(p3[j]), a3);
            }
            a0.Store(sum + d);
            a1.Store(sum + dim + d);
            a2.Store(sum + 2 * dim + d);
            a3.Store(sum + 3 * dim + d);
        }
    }

    /// <summary>As <see cref="Scores"/>, with a scale for each 32 dimensions of a token.</summary>
    static void ScoresQ8(byte* keys, long next, float* q, int dim, float* scores)
    {
        float* q0 = q, q1 = q + dim, q2 = q1 + dim, q3 = q2 + dim, scales = (float*)(keys + KvBlock.Tokens * dim);
        Vector512<float> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
        for (int d = 0; d < dim; d += Tile.K, scales += KvBlock.Tokens)
        {
            Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
            for (int k = d; k < d + Tile.K; k += 4)
            {
                Prefetch(keys + k * KvBlock.Tokens + next);
                var words = Vector512.Load((int*)(keys + k * KvBlock.Tokens));
                for (int j = 0; j < 4; j++)
                {
                    var key = Vector512.ConvertToSingle(Vector512.ShiftRightArithmetic(words << (24 - 8 * j), 24));
                    s0 = Vector512.FusedMultiplyAdd(key, Vector512.Create(q0[k + j]), s0);
                    s1 = Vector512.FusedMultiplyAdd(key, Vector512.Create(q1[k + j]), s1);
                    s2 = Vector512.FusedMultiplyAdd(key, Vector512.Create(q2[k + j]), s2);
                    s3 = Vector512.FusedMultiplyAdd(key, Vector512.Create(q3[k + j]), s3);
                }
            }
            var scale = Vector512.Load(scales);
            sum0 = Vector512.FusedMultiplyAdd(s0, scale, sum0);
            sum1 = Vector512.FusedMultiplyAdd(s1, scale, sum1);
            sum2 = Vector512.FusedMultiplyAdd(s2, scale, sum2);
            sum3 = Vector512.FusedMultiplyAdd(s3, scale, sum3);
        }
        sum0.Store(scores);
        sum1.Store(scores + 16);
        sum2.Store(scores + 32);
        sum3.Store(scores + 48);
    }

    /// <summary>As <see cref="Accumulate"/>, with a scale for each 32 dimensions of a token.</summary>
    static void AccumulateQ8(byte* values, long next, float* p, float* sum, int dim, int tokens)
    {
        float* scales = (float*)(values + KvBlock.Tokens * dim);
        for (int d = 0; d < dim; d += 16)
        {
            var a0 = Vector512.Load(sum + d);
            var a1 = Vector512.Load(sum + dim + d);
            var a2 = Vector512.Load(sum + 2 * dim + d);
            var a3 = Vector512.Load(sum + 3 * dim + d);
            for (int j = 0; j < tokens; j++)
            {
                Prefetch(values + j * dim + d + next);
                var (low, high) = Vector128.Widen(Vector128.Load((sbyte*)values + j * dim + d));
                var (first, second) = Vector128.Widen(low);
                var (third, fourth) = Vector128.Widen(high);
                var integers = Vector512.Create(Vector256.Create(first, second), Vector256.Create(third, fourth));
                var v = Vector512.ConvertToSingle(integers) * Vector512.Create(scales[(j * dim + d) / Tile.K]);
                a0 = Vector512.FusedMultiplyAdd(v, Vector512.Create(p[j]), a0);
                a1 = Vector512.FusedMultiplyAdd(v, Vector512.Create(p[16 + j]), a1);
                a2 = Vector512.FusedMultiplyAdd(v, Vector512.Create(p[32 + j]), a2);
                a3 = Vector512.FusedMultiplyAdd(v, Vector512.Create(p[48 + j]), a3);
            }
            a0.Store(sum + d);
            a1.Store(sum + dim + d);
            a2.Store(sum + 2 * dim + d);
            a3.Store(sum + 3 * dim + d);
        }
    }

    /// <summary>How the cache's numbers become floats.</summary>
    interface IKv
    {
        static abstract int PerWord { get; }

        static abstract Vector512<float> Key(Vector512<int> words, int j);

        static abstract Vector512<float> Value(byte* at);
    }

    readonly struct FloatKv : IKv
    {
        public static int PerWord => 1;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Key(Vector512<int> words, int j) => words.AsSingle();

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Value(byte* at) => Vector512.Load((float*)at);
    }

    /// <summary>Values times 2^-112.</summary>
    readonly struct HalfKv : IKv
    {
        public static int PerWord => 2;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Key(Vector512<int> words, int j) => j == 0 ? Lanes.LowHalf(words) : Lanes.HighHalf(words);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Value(byte* at) => Lanes.RawHalves(at);
    }
}
