using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tessera.Shaders;

/// <summary>The product of one panel of weights with a few rows of activations, on the host: the inner loop of every matrix op.</summary>
/// <remarks>Whatever the path, row r of token t sees the same operations in the same order, so that an answer does not depend on who shares the
/// batch.</remarks>
static unsafe partial class Panel
{
    /// <summary>sums[t, r] = Σ_k x[token + t, k] · w[16 · panel + r, k] for t below <paramref name="tokens"/>, at most <see cref="Tile.Tokens"/>.</summary>
    public static void Product(in Tensor w, int panel, in Tensor x, int token, int tokens, float* sums)
    {
        byte** rows = stackalloc byte*[Tile.Tokens];
        int stride = Rows.Stride(x.Type, x.Cols);
        for (int t = 0; t < tokens; t++) rows[t] = (byte*)x.Address + (long)(token + t) * stride;
        Product(w, panel, x.Type, rows, tokens, sums);
    }

    /// <summary>The same for rows that lie anywhere.</summary>
    public static void Product(in Tensor w, int panel, DType type, byte** rows, int tokens, float* sums)
    {
        int tiles = Tile.Tiles(w.Cols);
        byte* values = (byte*)w.Address + (long)panel * tiles * Tile.ValueBytes(w.Type);
        byte* scales = (byte*)w.Address + Tile.ScalePlane(w.Type, w.RowCount, w.Cols) + (long)panel * tiles * Tile.ScaleBytes(w.Type);
        if (type == DType.A8)
        {
            Integer(w.Type, values, scales, tiles, rows, tokens, w.Cols, sums);
            return;
        }
        switch (w.Type)
        {
            case DType.F32: Float<F32Word>(values, scales, tiles, rows, tokens, sums); break;
            case DType.BF16: Float<BF16Word>(values, scales, tiles, rows, tokens, sums); break;
            case DType.F16: Float<F16Word>(values, scales, tiles, rows, tokens, sums); break;
            case DType.Q8: Float<Q8Word>(values, scales, tiles, rows, tokens, sums); break;
            case DType.Q4: Float<Q4Word>(values, scales, tiles, rows, tokens, sums); break;
            default: throw new TesseraException($"weights have no type {w.Type.Name()}");
        }
    }

    static void Float<TWord>(byte* values, byte* scales, int tiles, byte** rows, int tokens, float* sums) where TWord : struct, IWord
    {
        if (tokens == Tile.Tokens)
        {
            Float4<TWord>(values, scales, tiles, (float*)rows[0], (float*)rows[1], (float*)rows[2], (float*)rows[3], sums);
            return;
        }
        for (int t = 0; t < tokens; t++) Float1<TWord>(values, scales, tiles, (float*)rows[t], sums + t * Tile.Rows);
    }

    static void Float1<TWord>(byte* values, byte* scales, int tiles, float* x, float* sums) where TWord : struct, IWord
    {
        Vector512<float> total = default;
        for (int slice = 1, tile = 0; slice <= Tile.Slices; slice++)
        {
            Vector512<float> sum = default;
            int end = Tile.SliceStart(tiles, slice);
            for (; tile < end; tile++, values += TWord.TileBytes, scales += Tile.Rows * (TWord.HasZero ? 3 : 2), x += Tile.K)
            {
                var s = TWord.Scaled ? Vector512<float>.Zero : sum;
                var zeros = TWord.HasZero ? Vector512.ConvertToSingle(Zeros(scales)) * Vector512.Create(1f / 16) : default;
                for (int word = 0; word < Tile.K / TWord.PerWord; word++)
                {
                    var bits = Vector512.Load((int*)values + word * Tile.Rows);
                    for (int j = 0; j < TWord.PerWord; j++)
                    {
                        var w = TWord.HasZero ? TWord.Element(bits, j) - zeros : TWord.Element(bits, j);
                        s = Vector512.FusedMultiplyAdd(w, Vector512.Create(x[word * TWord.PerWord + j]), s);
                    }
                }
                sum = TWord.Scaled ? Vector512.FusedMultiplyAdd(s, Lanes.Halves(scales), sum) : s;
            }
            total += sum;
        }
        total.Store(sums);
    }

    static void Float4<TWord>(byte* values, byte* scales, int tiles, float* x0, float* x1, float* x2, float* x3, float* sums) where TWord : struct, IWord
    {
        Vector512<float> total0 = default, total1 = default, total2 = default, total3 = default;
        for (int slice = 1, tile = 0; slice <= Tile.Slices; slice++)
        {
            Vector512<float> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
            for (int end = Tile.SliceStart(tiles, slice); tile < end; tile++, values += TWord.TileBytes, scales += Tile.Rows * (TWord.HasZero ? 3 : 2))
            {
                Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
                if (!TWord.Scaled) (s0, s1, s2, s3) = (sum0, sum1, sum2, sum3);
                var zeros = TWord.HasZero ? Vector512.ConvertToSingle(Zeros(scales)) * Vector512.Create(1f / 16) : default;
                for (int word = 0; word < Tile.K / TWord.PerWord; word++)
                {
                    var bits = Vector512.Load((int*)values + word * Tile.Rows);
                    for (int j = 0; j < TWord.PerWord; j++)
                    {
                        var w = TWord.HasZero ? TWord.Element(bits, j) - zeros : TWord.Element(bits, j);
                        int k = tile * Tile.K + word * TWord.PerWord + j;
                        s0 = Vector512.FusedMultiplyAdd(w, Vector512.Create(x0[k]), s0);
                        s1 = Vector512.FusedMultiplyAdd(w, Vector512.Create(x1[k]), s1);
                        s2 = Vector512.FusedMultiplyAdd(w, Vector512.Create(x2[k]), s2);
                        s3 = Vector512.FusedMultiplyAdd(w, Vector512.Create(x3[k]), s3);
                    }
                }
                if (!TWord.Scaled) { (sum0, sum1, sum2, sum3) = (s0, s1, s2, s3); continue; }
                var scale = Lanes.Halves(scales);
                sum0 = Vector512.FusedMultiplyAdd(s0, scale, sum0);
                sum1 = Vector512.FusedMultiplyAdd(s1, scale, sum1);
                sum2 = Vector512.FusedMultiplyAdd(s2, scale, sum2);
                sum3 = Vector512.FusedMultiplyAdd(s3, scale, sum3);
            }
            total0 += sum0;
            total1 += sum1;
            total2 += sum2;
            total3 += sum3;
        }
        total0.Store(sums);
        total1.Store(sums + Tile.Rows);
        total2.Store(sums + 2 * Tile.Rows);
        total3.Store(sums + 3 * Tile.Rows);
    }

    /// <summary>How a 32-bit word of a weight type becomes floats.</summary>
    interface IWord
    {
        static abstract int PerWord { get; }
        static abstract int TileBytes { get; }
        static abstract bool Scaled { get; }
        static abstract bool HasZero { get; }

        static abstract Vector512<float> Element(Vector512<int> words, int j);
    }

    readonly struct F32Word : IWord
    {
        public static int PerWord => 1;
        public static int TileBytes => 2048;
        public static bool Scaled => false;
        public static bool HasZero => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Element(Vector512<int> words, int j) => words.AsSingle();
    }

    readonly struct BF16Word : IWord
    {
        public static int PerWord => 2;
        public static int TileBytes => 1024;
        public static bool Scaled => false;
        public static bool HasZero => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Element(Vector512<int> words, int j) =>
            (j == 0 ? words << 16 : words & Vector512.Create(unchecked((int)0xffff0000))).AsSingle();
    }

    readonly struct F16Word : IWord
    {
        public static int PerWord => 2;
        public static int TileBytes => 1024;
        public static bool Scaled => false;
        public static bool HasZero => false;

        // Multiplying each element costs more than once at the end, but 2^-112 · x leaves the range of floats for small x.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Element(Vector512<int> words, int j) =>
            (j == 0 ? Lanes.LowHalf(words) : Lanes.HighHalf(words)) * Vector512.Create(Lanes.HalfScale);
    }

    readonly struct Q8Word : IWord
    {
        public static int PerWord => 4;
        public static int TileBytes => 512;
        public static bool Scaled => true;
        public static bool HasZero => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Element(Vector512<int> words, int j) =>
            Vector512.ConvertToSingle(Vector512.ShiftRightArithmetic(words << (24 - 8 * j), 24));
    }

    readonly struct Q4Word : IWord
    {
        public static int PerWord => 8;
        public static int TileBytes => 256;
        public static bool Scaled => true;
        public static bool HasZero => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Element(Vector512<int> words, int j) =>
            Vector512.ConvertToSingle((words >>> (j % 4 * 8 + j / 4 * 4)) & Vector512.Create(15));
    }
}
