using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Shaders;

/// <summary>Q4's tiles: a word holds two words of bytes from 0 to 15, in the halves of its bytes. What stands for zero is taken off
/// later: see <see cref="LessZeros"/>.</summary>
static unsafe partial class Panel
{
    const int Q4Words = 4;

    readonly struct VnniDotsQ4 : IDots
    {
        public static int TileBytes => 256;

        public static bool HasZero => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<int> One(byte* values, byte* x, int* sum, short* split)
        {
            var mask = Vector256.Create((byte)15);
            Vector256<int> low = default, high = default;
            (low, high) = Word(low, high, values, x, mask, 0);
            (low, high) = Word(low, high, values, x, mask, 1);
            (low, high) = Word(low, high, values, x, mask, 2);
            (low, high) = Word(low, high, values, x, mask, 3);
            return Lanes.Join(low, high);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static (Vector256<int>, Vector256<int>) Word(Vector256<int> low, Vector256<int> high, byte* values, byte* x, Vector256<byte> mask, int word)
        {
            Vector256<byte> w = Vector256.Load(values + word * 64), v = Vector256.Load(values + word * 64 + 32);
            (low, high) = Step(low, high, w & mask, v & mask, x, word * 8);
            return Step(low, high, High(w, mask), High(v, mask), x, word * 8 + 4);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Four(byte* values, byte* x0, byte* x1, byte* x2, byte* x3, long sumAt, short* split,
            out Vector512<int> d0, out Vector512<int> d1, out Vector512<int> d2, out Vector512<int> d3)
        {
            var mask = Vector256.Create((byte)15);
            Vector256<int> low0 = default, high0 = default;
            Vector256<int> low1 = default, high1 = default;
            Vector256<int> low2 = default, high2 = default;
            Vector256<int> low3 = default, high3 = default;
            for (int word = 0; word < Q4Words; word++)
            {
                Vector256<byte> w = Vector256.Load(values + word * 64), v = Vector256.Load(values + word * 64 + 32);
                Vector256<byte> wLow = w & mask, vLow = v & mask;
                (low0, high0) = Step(low0, high0, wLow, vLow, x0, word * 8);
                (low1, high1) = Step(low1, high1, wLow, vLow, x1, word * 8);
                (low2, high2) = Step(low2, high2, wLow, vLow, x2, word * 8);
                (low3, high3) = Step(low3, high3, wLow, vLow, x3, word * 8);
                Vector256<byte> wHigh = High(w, mask), vHigh = High(v, mask);
                (low0, high0) = Step(low0, high0, wHigh, vHigh, x0, word * 8 + 4);
                (low1, high1) = Step(low1, high1, wHigh, vHigh, x1, word * 8 + 4);
                (low2, high2) = Step(low2, high2, wHigh, vHigh, x2, word * 8 + 4);
                (low3, high3) = Step(low3, high3, wHigh, vHigh, x3, word * 8 + 4);
            }
            d0 = Lanes.Join(low0, high0);
            d1 = Lanes.Join(low1, high1);
            d2 = Lanes.Join(low2, high2);
            d3 = Lanes.Join(low3, high3);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static (Vector256<int>, Vector256<int>) Step(Vector256<int> low, Vector256<int> high, Vector256<byte> w, Vector256<byte> v, byte* x, int at)
        {
            var b = Vector256.Create(At(x, at)).AsSByte();
            return (AvxVnni.MultiplyWideningAndAdd(low, w, b), AvxVnni.MultiplyWideningAndAdd(high, v, b));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector256<byte> High(Vector256<byte> w, Vector256<byte> mask) => (w.AsUInt16() >> 4).AsByte() & mask;

    /// <summary>Products of pairs stay below 2^12, so that VPMADDUBSW's 16-bit sums hold a whole tile.</summary>
    readonly struct Avx512DotsQ4 : IDots
    {
        public static int TileBytes => 256;

        public static bool HasZero => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<int> One(byte* values, byte* x, int* sum, short* split)
        {
            var d = Word(Word(default, values, x, 0), values, x, 1);
            return Whole(Word(Word(d, values, x, 2), values, x, 3));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector512<short> Word(Vector512<short> d, byte* values, byte* x, int word)
        {
            var w = Vector512.Load(values + word * 64);
            return Step(Step(d, Low(w), x, word * 8), Low((w.AsUInt16() >> 4).AsByte()), x, word * 8 + 4);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Four(byte* values, byte* x0, byte* x1, byte* x2, byte* x3, long sumAt, short* split,
            out Vector512<int> d0, out Vector512<int> d1, out Vector512<int> d2, out Vector512<int> d3)
        {
            Vector512<short> s0 = default, s1 = default, s2 = default, s3 = default;
            for (int word = 0; word < Q4Words; word++)
            {
                var w = Vector512.Load(values + word * 64);
                var low = Low(w);
                s0 = Step(s0, low, x0, word * 8);
                s1 = Step(s1, low, x1, word * 8);
                s2 = Step(s2, low, x2, word * 8);
                s3 = Step(s3, low, x3, word * 8);
                var high = Low((w.AsUInt16() >> 4).AsByte());
                s0 = Step(s0, high, x0, word * 8 + 4);
                s1 = Step(s1, high, x1, word * 8 + 4);
                s2 = Step(s2, high, x2, word * 8 + 4);
                s3 = Step(s3, high, x3, word * 8 + 4);
            }
            d0 = Whole(s0);
            d1 = Whole(s1);
            d2 = Whole(s2);
            d3 = Whole(s3);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector512<byte> Low(Vector512<byte> w) => w & Vector512.Create((byte)15);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector512<short> Step(Vector512<short> d, Vector512<byte> w, byte* x, int at) =>
            d + Avx512BW.MultiplyAddAdjacent(w, Vector512.Create(At(x, at)).AsSByte());

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector512<int> Whole(Vector512<short> d) => Avx512BW.MultiplyAddAdjacent(d, Vector512<short>.One);
    }

    /// <summary>As <see cref="Avx512DotsQ4"/>, half as wide.</summary>
    readonly struct Avx2DotsQ4 : IDots
    {
        public static int TileBytes => 256;

        public static bool HasZero => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<int> One(byte* values, byte* x, int* sum, short* split)
        {
            var mask = Vector256.Create((byte)15);
            Vector256<short> low = default, high = default;
            for (int word = 0; word < Q4Words; word++)
            {
                Vector256<byte> w = Vector256.Load(values + word * 64), v = Vector256.Load(values + word * 64 + 32);
                low = Step(Step(low, w & mask, x, word * 8), High(w, mask), x, word * 8 + 4);
                high = Step(Step(high, v & mask, x, word * 8), High(v, mask), x, word * 8 + 4);
            }
            return Lanes.Join(Whole(low), Whole(high));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Four(byte* values, byte* x0, byte* x1, byte* x2, byte* x3, long sumAt, short* split,
            out Vector512<int> d0, out Vector512<int> d1, out Vector512<int> d2, out Vector512<int> d3)
        {
            Half(values, x0, x1, x2, x3, out var low0, out var low1, out var low2, out var low3);
            Half(values + 32, x0, x1, x2, x3, out var high0, out var high1, out var high2, out var high3);
            d0 = Lanes.Join(low0, high0);
            d1 = Lanes.Join(low1, high1);
            d2 = Lanes.Join(low2, high2);
            d3 = Lanes.Join(low3, high3);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void Half(byte* values, byte* x0, byte* x1, byte* x2, byte* x3,
            out Vector256<int> d0, out Vector256<int> d1, out Vector256<int> d2, out Vector256<int> d3)
        {
            var mask = Vector256.Create((byte)15);
            Vector256<short> s0 = default, s1 = default, s2 = default, s3 = default;
            for (int word = 0; word < Q4Words; word++)
            {
                var w = Vector256.Load(values + word * 64);
                Vector256<byte> low = w & mask, high = High(w, mask);
                s0 = Step(Step(s0, low, x0, word * 8), high, x0, word * 8 + 4);
                s1 = Step(Step(s1, low, x1, word * 8), high, x1, word * 8 + 4);
                s2 = Step(Step(s2, low, x2, word * 8), high, x2, word * 8 + 4);
                s3 = Step(Step(s3, low, x3, word * 8), high, x3, word * 8 + 4);
            }
            d0 = Whole(s0);
            d1 = Whole(s1);
            d2 = Whole(s2);
            d3 = Whole(s3);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector256<short> Step(Vector256<short> d, Vector256<byte> w, byte* x, int at) =>
            d + Avx2.MultiplyAddAdjacent(w, Vector256.Create(At(x, at)).AsSByte());

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector256<int> Whole(Vector256<short> d) => Avx2.MultiplyAddAdjacent(d, Vector256<short>.One);
    }

    readonly struct ArmDotsQ4 : IDots
    {
        public static int TileBytes => 256;

        public static bool HasZero => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<int> One(byte* values, byte* x, int* sum, short* split)
        {
            Vector128<int> a = default, b = default, c = default, d = default;
            for (int word = 0; word < Q4Words; word++)
            {
                sbyte* w = (sbyte*)values + word * 64;
                var spread = Vector128.Create(At(x, word * 8)).AsSByte();
                var next = Vector128.Create(At(x, word * 8 + 4)).AsSByte();
                a = Both(a, Vector128.Load(w), spread, next);
                b = Both(b, Vector128.Load(w + 16), spread, next);
                c = Both(c, Vector128.Load(w + 32), spread, next);
                d = Both(d, Vector128.Load(w + 48), spread, next);
            }
            return Vector512.Create(Vector256.Create(a, b), Vector256.Create(c, d));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector128<int> Both(Vector128<int> d, Vector128<sbyte> w, Vector128<sbyte> low, Vector128<sbyte> high) =>
            Dp.DotProduct(Dp.DotProduct(d, w & Vector128.Create((sbyte)15), low), w >>> 4, high);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Four(byte* values, byte* x0, byte* x1, byte* x2, byte* x3, long sumAt, short* split,
            out Vector512<int> d0, out Vector512<int> d1, out Vector512<int> d2, out Vector512<int> d3)
        {
            Quarter(values, x0, x1, x2, x3, out var a0, out var a1, out var a2, out var a3);
            Quarter(values + 16, x0, x1, x2, x3, out var b0, out var b1, out var b2, out var b3);
            Quarter(values + 32, x0, x1, x2, x3, out var c0, out var c1, out var c2, out var c3);
            Quarter(values + 48, x0, x1, x2, x3, out var e0, out var e1, out var e2, out var e3);
            d0 = Vector512.Create(Vector256.Create(a0, b0), Vector256.Create(c0, e0));
            d1 = Vector512.Create(Vector256.Create(a1, b1), Vector256.Create(c1, e1));
            d2 = Vector512.Create(Vector256.Create(a2, b2), Vector256.Create(c2, e2));
            d3 = Vector512.Create(Vector256.Create(a3, b3), Vector256.Create(c3, e3));
        }

        /// <summary>4 of the 16 rows.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void Quarter(byte* values, byte* x0, byte* x1, byte* x2, byte* x3,
            out Vector128<int> d0, out Vector128<int> d1, out Vector128<int> d2, out Vector128<int> d3)
        {
            d0 = d1 = d2 = d3 = default;
            var mask = Vector128.Create((sbyte)15);
            for (int part = 0; part < 2; part++)
            {
                Vector128<sbyte> w = Vector128.Load((sbyte*)values + part * 128), v = Vector128.Load((sbyte*)values + part * 128 + 64);
                Vector128<sbyte> wLow = w & mask, wHigh = w >>> 4, vLow = v & mask, vHigh = v >>> 4;
                d0 = ArmDots.Pick(d0, wLow, wHigh, vLow, vHigh, Vector128.Load((sbyte*)x0 + part * 16));
                d1 = ArmDots.Pick(d1, wLow, wHigh, vLow, vHigh, Vector128.Load((sbyte*)x1 + part * 16));
                d2 = ArmDots.Pick(d2, wLow, wHigh, vLow, vHigh, Vector128.Load((sbyte*)x2 + part * 16));
                d3 = ArmDots.Pick(d3, wLow, wHigh, vLow, vHigh, Vector128.Load((sbyte*)x3 + part * 16));
            }
        }
    }

    /// <summary>Products of pairs stay below 2^12, so that 16-bit sums hold a whole tile.</summary>
    readonly struct PortableDotsQ4 : IDots
    {
        public static int TileBytes => 256;

        public static bool HasZero => true;

        public static Vector512<int> One(byte* values, byte* x, int* sum, short* split)
        {
            if (!Vector128.IsHardwareAccelerated) return Scalar(values, x);
            Split(x, split);
            return Vector512.Create(Vector256.Create(Quarter(values, split), Quarter(values + 16, split)),
                Vector256.Create(Quarter(values + 32, split), Quarter(values + 48, split)));
        }

        public static void Four(byte* values, byte* x0, byte* x1, byte* x2, byte* x3, long sumAt, short* split,
            out Vector512<int> d0, out Vector512<int> d1, out Vector512<int> d2, out Vector512<int> d3)
        {
            d0 = One(values, x0, null, split);
            d1 = One(values, x1, null, split);
            d2 = One(values, x2, null, split);
            d3 = One(values, x3, null, split);
        }

        static Vector128<int> Quarter(byte* values, short* split)
        {
            var mask = Vector128.Create((short)15);
            int* even = (int*)split, odd = even + 8;
            Vector128<short> d = default;
            for (int word = 0; word < Q4Words; word++)
            {
                var w = Vector128.Load((short*)(values + word * 64));
                d += (w & mask) * Vector128.Create(even[2 * word]).AsInt16() + ((w >>> 8) & mask) * Vector128.Create(odd[2 * word]).AsInt16();
                d += ((w >>> 4) & mask) * Vector128.Create(even[2 * word + 1]).AsInt16() + (w >>> 12) * Vector128.Create(odd[2 * word + 1]).AsInt16();
            }
            return ((d.AsInt32() << 16) >> 16) + (d.AsInt32() >> 16);
        }

        static Vector512<int> Scalar(byte* values, byte* x)
        {
            int* d = stackalloc int[Tile.Rows];
            for (int r = 0; r < Tile.Rows; r++)
            {
                d[r] = 0;
                for (int k = 0; k < Tile.K; k++) d[r] += (((int*)values)[k / 8 * Tile.Rows + r] >> Tile.Shift(DType.Q4, k) & 15) * (sbyte)x[k];
            }
            return Vector512.Load(d);
        }
    }
}
