using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Shaders;

/// <summary>Quantised weights by A8, in the order of sums of <see cref="Canonical"/>. The sum within a tile is an exact integer, so every instruction set
/// gives the same bits.</summary>
static unsafe partial class Panel
{
    /// <summary>What the first rows read of a panel comes from memory: it is fetched so far ahead, while they compute.</summary>
    const int AheadBytes = 2048;

    /// <summary>True where there is a product of weights with activations of these types.</summary>
    public static bool Multiplies(DType w, DType x) =>
        x == DType.F32 || x == DType.A8 && WeightFormat.Of(w).IsQuantised || x == DType.F16 && w is DType.F16 or DType.BF16;

    /// <summary>Exact integer products of the 16 rows of a tile with 32 activations, on one instruction set. x: the values of a row of A8 at the tile; sum:
    /// what they add up to; split: room for four times 32 activations.</summary>
    interface IDots
    {
        static abstract int TileBytes { get; }

        /// <summary>The dots are those of numbers from 0, to be lessened by <see cref="LessZeros"/>.</summary>
        static abstract bool HasZero { get; }

        static abstract Vector512<int> One(byte* values, byte* x, int* sum, short* split);

        /// <summary>The same of four rows: a word of weights is loaded and spread once for all of them. sumAt: from x to its sum, in bytes.</summary>
        static abstract void Four(byte* values, byte* x0, byte* x1, byte* x2, byte* x3, long sumAt, short* split,
            out Vector512<int> d0, out Vector512<int> d1, out Vector512<int> d2, out Vector512<int> d3);
    }

    /// <summary>The widest instructions that there are here, best first.</summary>
    static void Integer(DType type, byte* values, byte* scales, int tiles, byte** rows, int tokens, int cols, float* sums)
    {
        if (AvxVnni.IsSupported) Integer<VnniDots, VnniDotsQ4>(type, values, scales, tiles, rows, tokens, cols, sums);
        else if (Avx512BW.IsSupported) Integer<Avx512Dots, Avx512DotsQ4>(type, values, scales, tiles, rows, tokens, cols, sums);
        else if (Avx2.IsSupported) Integer<Avx2Dots, Avx2DotsQ4>(type, values, scales, tiles, rows, tokens, cols, sums);
        else if (Dp.IsSupported) Integer<ArmDots, ArmDotsQ4>(type, values, scales, tiles, rows, tokens, cols, sums);
        else Integer<PortableDots, PortableDotsQ4>(type, values, scales, tiles, rows, tokens, cols, sums);
    }

    static void Integer<TQ8, TQ4>(DType type, byte* values, byte* scales, int tiles, byte** rows, int tokens, int cols, float* sums)
        where TQ8 : struct, IDots where TQ4 : struct, IDots
    {
        switch (type)
        {
            case DType.Q8: Integer<TQ8>(values, scales, tiles, rows, tokens, cols, sums); break;
            case DType.Q4: Integer<TQ4>(values, scales, tiles, rows, tokens, cols, sums); break;
            default: throw new TesseraException($"no product of {type.Name()} with a8");
        }
    }

    /// <summary>The products of the 16 rows of a tile with 32 values, whose sum is <paramref name="xSum"/>.</summary>
    internal static Vector512<int> TileDot(byte* values, byte* x, int xSum, short* split) =>
        AvxVnni.IsSupported ? VnniDots.One(values, x, &xSum, split) : Avx512BW.IsSupported ? Avx512Dots.One(values, x, &xSum, split)
            : Avx2.IsSupported ? Avx2Dots.One(values, x, &xSum, split) : Dp.IsSupported ? ArmDots.One(values, x, &xSum, split)
            : PortableDots.One(values, x, &xSum, split);

    static void Integer<TDots>(byte* values, byte* scales, int tiles, byte** rows, int tokens, int cols, float* sums) where TDots : struct, IDots
    {
        if (tokens == Tile.Tokens) Integer4<TDots>(values, scales, tiles, rows[0], rows[1], rows[2], rows[3], cols, sums);
        else
            for (int t = 0; t < tokens; t++) Integer1<TDots>(values, scales, tiles, rows[t], cols, sums + t * Tile.Rows);
    }

    [SkipLocalsInit]
    static void Integer1<TDots>(byte* values, byte* scales, int tiles, byte* x, int cols, float* sums) where TDots : struct, IDots
    {
        float* xScales = (float*)(x + Rows.ScaleOffset(cols));
        int* xSums = (int*)(x + Rows.SumOffset(cols));
        short* split = stackalloc short[Tile.K];
        Vector512<float> total = default;
        for (int slice = 1, tile = 0; slice <= Tile.Slices; slice++)
        {
            int end = Tile.SliceStart(tiles, slice);
            if (tile == end) continue;
            Vector512<float> acc = default;
            for (; tile < end; tile++, values += TDots.TileBytes, scales += Tile.Rows * (TDots.HasZero ? 3 : 2), x += Tile.K)
            {
                if (Sse.IsSupported)
                    for (int line = 0; line < TDots.TileBytes; line += 64) Sse.Prefetch0(values + AheadBytes + line);
                var d = TDots.One(values, x, xSums + tile, split);
                if (TDots.HasZero) d = LessZeros(d, Zeros(scales), xSums[tile]);
                acc = Add(acc, d, Scales(scales, TDots.HasZero), xScales[tile]);
            }
            total += acc;
        }
        total.Store(sums);
    }

    [SkipLocalsInit]
    static void Integer4<TDots>(byte* values, byte* scales, int tiles, byte* x0, byte* x1, byte* x2, byte* x3, int cols, float* sums)
        where TDots : struct, IDots
    {
        long scaleAt = Rows.ScaleOffset(cols), sumAt = Rows.SumOffset(cols); // from a row's values, in bytes
        short* split = stackalloc short[Tile.Tokens * Tile.K];
        Vector512<float> total0 = default, total1 = default, total2 = default, total3 = default;
        for (int slice = 1, tile = 0; slice <= Tile.Slices; slice++)
        {
            int end = Tile.SliceStart(tiles, slice);
            if (tile == end) continue;
            Vector512<float> acc0 = default, acc1 = default, acc2 = default, acc3 = default;
            for (; tile < end; tile++, values += TDots.TileBytes, scales += Tile.Rows * (TDots.HasZero ? 3 : 2))
            {
                if (Sse.IsSupported)
                    for (int line = 0; line < TDots.TileBytes; line += 64) Sse.Prefetch0(values + AheadBytes + line);
                long k = (long)tile * Tile.K, toSum = sumAt + tile * 4L - k;
                TDots.Four(values, x0 + k, x1 + k, x2 + k, x3 + k, toSum, split, out var d0, out var d1, out var d2, out var d3);
                if (TDots.HasZero)
                {
                    var zeros = Zeros(scales);
                    d0 = LessZeros(d0, zeros, At(x0, k + toSum));
                    d1 = LessZeros(d1, zeros, At(x1, k + toSum));
                    d2 = LessZeros(d2, zeros, At(x2, k + toSum));
                    d3 = LessZeros(d3, zeros, At(x3, k + toSum));
                }
                var scale = Scales(scales, TDots.HasZero);
                long s = scaleAt + tile * 4L;
                acc0 = Add(acc0, d0, scale, *(float*)(x0 + s));
                acc1 = Add(acc1, d1, scale, *(float*)(x1 + s));
                acc2 = Add(acc2, d2, scale, *(float*)(x2 + s));
                acc3 = Add(acc3, d3, scale, *(float*)(x3 + s));
            }
            total0 += acc0;
            total1 += acc1;
            total2 += acc2;
            total3 += acc3;
        }
        total0.Store(sums);
        total1.Store(sums + Tile.Rows);
        total2.Store(sums + 2 * Tile.Rows);
        total3.Store(sums + 3 * Tile.Rows);
    }

    /// <summary>Σ (16 q - zero) · x for the rows of a tile: a whole number below 2^21.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<int> LessZeros(Vector512<int> dots, Vector512<int> zeros, int xSum) => (dots << 4) - zeros * Vector512.Create(xSum);

    /// <summary>The zeros of a tile's rows, behind its scales.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<int> Zeros(byte* scales)
    {
        var bytes = Vector128.Load(scales + 2 * Tile.Rows);
        if (Avx512F.IsSupported) return Avx512F.ConvertToVector512Int32(bytes);
        Vector128<ushort> low = Vector128.WidenLower(bytes), high = Vector128.WidenUpper(bytes);
        return Vector512.Create(Vector256.Create(Vector128.WidenLower(low), Vector128.WidenUpper(low)),
            Vector256.Create(Vector128.WidenLower(high), Vector128.WidenUpper(high))).AsInt32();
    }

    /// <summary>The scales of a tile's rows: of sixteenths, where there are zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Scales(byte* scales, bool sixteenths) =>
        Lanes.RawHalves(scales) * Vector512.Create(sixteenths ? Lanes.HalfScale / 16 : Lanes.HalfScale);

    /// <summary>Rounded at every step: a fused form is not promised by every device.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Add(Vector512<float> acc, Vector512<int> dots, Vector512<float> scale, float xScale) =>
        acc + Vector512.ConvertToSingle(dots) * (scale * Vector512.Create(xScale));
}
