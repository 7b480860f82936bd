using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Shaders;

/// <summary>Q8 by A8. The sum within a tile is an exact integer, so every instruction set gives the same bits.</summary>
static unsafe partial class Panel
{
    const int TileBytes = 512, Words = 8;

    /// <summary>One token.</summary>
    static void Integer(byte* values, byte* scales, int tiles, byte* x, int cols, float* sums)
    {
        float* xScales = (float*)(x + Rows.ScaleOffset(cols));
        int* xSums = (int*)(x + Rows.SumOffset(cols));
        var sum = Vector512<float>.Zero;
        for (int tile = 0; tile < tiles; tile++, values += TileBytes, scales += 2 * Tile.Rows, x += Tile.K)
        {
            sum = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(TileDot(values, x, xSums[tile])),
                Lanes.Halves(scales) * Vector512.Create(xScales[tile]), sum);
        }
        sum.Store(sums);
    }

    /// <summary>The products of the 16 rows of a tile with 32 values, whose sum is <paramref name="xSum"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<int> TileDot(byte* values, byte* x, int xSum) =>
        AvxVnni.IsSupported ? DotVnni(values, x, xSum) : Avx2.IsSupported ? DotAvx2(values, x) : Dp.IsSupported ? DotArm(values, x) : Dot(values, x);

    /// <summary>VPDPBUSD wants u8 by s8: the sign bit of the weights is flipped, which adds 128 · Σ q, known beforehand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<int> DotVnni(byte* values, byte* x, int xSum)
    {
        var flip = Vector256.Create((byte)0x80);
        var low = Vector256.Create(-128 * xSum);
        var high = low;
        for (int word = 0; word < Words; word++)
        {
            var broadcast = Vector256.Create(((int*)x)[word]).AsSByte();
            low = AvxVnni.MultiplyWideningAndAdd(low, Vector256.Load(values + word * 64) ^ flip, broadcast);
            high = AvxVnni.MultiplyWideningAndAdd(high, Vector256.Load(values + word * 64 + 32) ^ flip, broadcast);
        }
        return Vector512.Create(low, high);
    }

    /// <summary>|x| by sign(w, x): pairs stay below 2^15, so VPMADDUBSW does not saturate.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<int> DotAvx2(byte* values, byte* x)
    {
        var ones = Vector256<short>.One;
        Vector256<int> low = default, high = default;
        for (int word = 0; word < Words; word++)
        {
            var broadcast = Vector256.Create(((int*)x)[word]).AsSByte();
            var magnitude = Avx2.Abs(broadcast);
            low += Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(magnitude, Avx2.Sign(Vector256.Load((sbyte*)values + word * 64), broadcast)), ones);
            high += Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(magnitude, Avx2.Sign(Vector256.Load((sbyte*)values + word * 64 + 32), broadcast)), ones);
        }
        return Vector512.Create(low, high);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<int> DotArm(byte* values, byte* x)
    {
        Vector128<int> a = default, b = default, c = default, d = default;
        for (int word = 0; word < Words; word++)
        {
            var broadcast = Vector128.Create(((int*)x)[word]).AsSByte();
            a = Dp.DotProduct(a, Vector128.Load((sbyte*)values + word * 64), broadcast);
            b = Dp.DotProduct(b, Vector128.Load((sbyte*)values + word * 64 + 16), broadcast);
            c = Dp.DotProduct(c, Vector128.Load((sbyte*)values + word * 64 + 32), broadcast);
            d = Dp.DotProduct(d, Vector128.Load((sbyte*)values + word * 64 + 48), broadcast);
        }
        return Vector512.Create(Vector256.Create(a, b), Vector256.Create(c, d));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<int> Dot(byte* values, byte* x)
    {
        Vector512<int> sum = default;
        for (int word = 0; word < Words; word++)
        {
            var words = Vector512.Load((int*)values + word * Tile.Rows);
            for (int j = 0; j < 4; j++)
                sum += Vector512.ShiftRightArithmetic(words << (24 - 8 * j), 24) * Vector512.Create((int)(sbyte)x[word * 4 + j]);
        }
        return sum;
    }

    /// <summary>Four tokens: a word of weights is loaded and flipped once for all of them.</summary>
    static void IntegerVnni4(byte* values, byte* scales, int tiles, byte** rows, int cols, float* sums)
    {
        byte* x0 = rows[0], x1 = rows[1], x2 = rows[2], x3 = rows[3];
        int scaleAt = Rows.ScaleOffset(cols), sumAt = Rows.SumOffset(cols);
        var flip = Vector256.Create((byte)0x80);
        Vector512<float> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
        for (int tile = 0; tile < tiles; tile++, values += TileBytes, scales += 2 * Tile.Rows)
        {
            long k = (long)tile * Tile.K;
            long s = sumAt + tile * 4L;
            Vector256<int> low0 = Vector256.Create(-128 * At(x0, s)), high0 = low0;
            Vector256<int> low1 = Vector256.Create(-128 * At(x1, s)), high1 = low1;
            Vector256<int> low2 = Vector256.Create(-128 * At(x2, s)), high2 = low2;
            Vector256<int> low3 = Vector256.Create(-128 * At(x3, s)), high3 = low3;
            for (int word = 0; word < Words; word++)
            {
                var wLow = Vector256.Load(values + word * 64) ^ flip;
                var wHigh = Vector256.Load(values + word * 64 + 32) ^ flip;
                long at = k + word * 4;
                var b = Vector256.Create(At(x0, at)).AsSByte();
                low0 = AvxVnni.MultiplyWideningAndAdd(low0, wLow, b);
                high0 = AvxVnni.MultiplyWideningAndAdd(high0, wHigh, b);
                b = Vector256.Create(At(x1, at)).AsSByte();
                low1 = AvxVnni.MultiplyWideningAndAdd(low1, wLow, b);
                high1 = AvxVnni.MultiplyWideningAndAdd(high1, wHigh, b);
                b = Vector256.Create(At(x2, at)).AsSByte();
                low2 = AvxVnni.MultiplyWideningAndAdd(low2, wLow, b);
                high2 = AvxVnni.MultiplyWideningAndAdd(high2, wHigh, b);
                b = Vector256.Create(At(x3, at)).AsSByte();
                low3 = AvxVnni.MultiplyWideningAndAdd(low3, wLow, b);
                high3 = AvxVnni.MultiplyWideningAndAdd(high3, wHigh, b);
            }
            var scale = Lanes.Halves(scales);
            long f = scaleAt + tile * 4L;
            sum0 = Accumulate(low0, high0, scale, *(float*)(x0 + f), sum0);
            sum1 = Accumulate(low1, high1, scale, *(float*)(x1 + f), sum1);
            sum2 = Accumulate(low2, high2, scale, *(float*)(x2 + f), sum2);
            sum3 = Accumulate(low3, high3, scale, *(float*)(x3 + f), sum3);
        }
        sum0.Store(sums);
        sum1.Store(sums + Tile.Rows);
        sum2.Store(sums + 2 * Tile.Rows);
        sum3.Store(sums + 3 * Tile.Rows);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static int At(byte* x, long offset) => *(int*)(x + offset);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Accumulate(Vector256<int> low, Vector256<int> high, Vector512<float> scale, float xScale, Vector512<float> sum) =>
        Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(Vector512.Create(low, high)), scale * Vector512.Create(xScale), sum);
}
