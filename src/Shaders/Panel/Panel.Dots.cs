using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Shaders;

static unsafe partial class Panel
{
    const int Words = 8; // of 4 activations in a tile

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static int At(byte* x, long offset) => *(int*)(x + offset);

    /// <summary>VPDPBUSD wants u8 by s8: the sign bit of the weights is flipped, which adds 128 · Σ q, known beforehand.</summary>
    readonly struct VnniDots : IDots
    {
        public static int TileBytes => 512;

        public static bool HasZero => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<int> One(byte* values, byte* x, int* sum, short* split)
        {
            var low = Vector256.Create(-128 * *sum);
            var high = low;
            (low, high) = Word(low, high, values, x, 0);
            (low, high) = Word(low, high, values, x, 1);
            (low, high) = Word(low, high, values, x, 2);
            (low, high) = Word(low, high, values, x, 3);
            (low, high) = Word(low, high, values, x, 4);
            (low, high) = Word(low, high, values, x, 5);
            (low, high) = Word(low, high, values, x, 6);
            (low, high) = Word(low, high, values, x, 7);
            return Lanes.Join(low, high);
        }

        // One by one, since the JIT leaves a loop of eight as it is, which halves the speed of a single row.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static (Vector256<int>, Vector256<int>) Word(Vector256<int> low, Vector256<int> high, byte* values, byte* x, int word)
        {
            var flip = Vector256.Create((byte)0x80);
            var b = Vector256.Create(((int*)x)[word]).AsSByte();
            return (AvxVnni.MultiplyWideningAndAdd(low, Vector256.Load(values + word * 64) ^ flip, b),
                AvxVnni.MultiplyWideningAndAdd(high, Vector256.Load(values + word * 64 + 32) ^ flip, b));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Four(byte* values, byte* x0, byte* x1, byte* x2, byte* x3, long sumAt, short* split,
            out Vector512<int> d0, out Vector512<int> d1, out Vector512<int> d2, out Vector512<int> d3)
        {
            var flip = Vector256.Create((byte)0x80);
            Vector256<int> low0 = Vector256.Create(-128 * At(x0, sumAt)), high0 = low0;
            Vector256<int> low1 = Vector256.Create(-128 * At(x1, sumAt)), high1 = low1;
            Vector256<int> low2 = Vector256.Create(-128 * At(x2, sumAt)), high2 = low2;
            Vector256<int> low3 = Vector256.Create(-128 * At(x3, sumAt)), high3 = low3;
            for (int word = 0; word < Words; word++)
            {
                var wLow = Vector256.Load(values + word * 64) ^ flip;
                var wHigh = Vector256.Load(values + word * 64 + 32) ^ flip;
                var b = Vector256.Create(At(x0, word * 4)).AsSByte();
                low0 = AvxVnni.MultiplyWideningAndAdd(low0, wLow, b);
                high0 = AvxVnni.MultiplyWideningAndAdd(high0, wHigh, b);
                b = Vector256.Create(At(x1, word * 4)).AsSByte();
                low1 = AvxVnni.MultiplyWideningAndAdd(low1, wLow, b);
                high1 = AvxVnni.MultiplyWideningAndAdd(high1, wHigh, b);
                b = Vector256.Create(At(x2, word * 4)).AsSByte();
                low2 = AvxVnni.MultiplyWideningAndAdd(low2, wLow, b);
                high2 = AvxVnni.MultiplyWideningAndAdd(high2, wHigh, b);
                b = Vector256.Create(At(x3, word * 4)).AsSByte();
                low3 = AvxVnni.MultiplyWideningAndAdd(low3, wLow, b);
                high3 = AvxVnni.MultiplyWideningAndAdd(high3, wHigh, b);
            }
            d0 = Lanes.Join(low0, high0);
            d1 = Lanes.Join(low1, high1);
            d2 = Lanes.Join(low2, high2);
            d3 = Lanes.Join(low3, high3);
        }
    }

    /// <summary>VPMADDWD wants 16-bit lanes: the even bytes and the odd bytes of weights and activations apart.</summary>
    readonly struct Avx512Dots : IDots
    {
        public static int TileBytes => 512;

        public static bool HasZero => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<int> One(byte* values, byte* x, int* sum, short* split)
        {
            Split(x, split);
            var d = Word(Word(default, values, split, 0), values, split, 1);
            d = Word(Word(d, values, split, 2), values, split, 3);
            d = Word(Word(d, values, split, 4), values, split, 5);
            return Word(Word(d, values, split, 6), values, split, 7);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector512<int> Word(Vector512<int> d, byte* values, short* split, int word)
        {
            var w = Vector512.Load((short*)(values + word * 64));
            return Step(d, (w << 8) >> 8, w >> 8, split, word);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Four(byte* values, byte* x0, byte* x1, byte* x2, byte* x3, long sumAt, short* split,
            out Vector512<int> d0, out Vector512<int> d1, out Vector512<int> d2, out Vector512<int> d3)
        {
            Split(x0, split);
            Split(x1, split + 32);
            Split(x2, split + 64);
            Split(x3, split + 96);
            d0 = d1 = d2 = d3 = default;
            for (int word = 0; word < Words; word++)
            {
                var w = Vector512.Load((short*)(values + word * 64));
                var (even, odd) = ((w << 8) >> 8, w >> 8);
                d0 = Step(d0, even, odd, split, word);
                d1 = Step(d1, even, odd, split + 32, word);
                d2 = Step(d2, even, odd, split + 64, word);
                d3 = Step(d3, even, odd, split + 96, word);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector512<int> Step(Vector512<int> d, Vector512<short> even, Vector512<short> odd, short* split, int word) =>
            d + Avx512BW.MultiplyAddAdjacent(even, Vector512.Create(((int*)split)[word]).AsInt16())
                + Avx512BW.MultiplyAddAdjacent(odd, Vector512.Create(((int*)split)[word + 8]).AsInt16());
    }

    /// <summary>32 activations as 16-bit numbers: the 16 even ones, then the odd ones, so that a pair of each is one word to spread.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Split(byte* x, short* split)
    {
        var pairs = Vector256.Load((short*)x);
        ((pairs << 8) >> 8).Store(split);
        (pairs >> 8).Store(split + 16);
    }

    /// <summary>As <see cref="Avx512Dots"/>, half as wide.</summary>
    readonly struct Avx2Dots : IDots
    {
        public static int TileBytes => 512;

        public static bool HasZero => false;

        /// <summary>|x| by sign(w, x): pairs stay below 2^15, so VPMADDUBSW does not saturate.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<int> One(byte* values, byte* x, int* sum, short* split)
        {
            var ones = Vector256<short>.One;
            Vector256<int> low = default, high = default;
            for (int word = 0; word < Words; word++)
            {
                var b = Vector256.Create(((int*)x)[word]).AsSByte();
                var magnitude = Avx2.Abs(b);
                low += Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(magnitude, Avx2.Sign(Vector256.Load((sbyte*)values + word * 64), b)), ones);
                high += Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(magnitude, Avx2.Sign(Vector256.Load((sbyte*)values + word * 64 + 32), b)), ones);
            }
            return Lanes.Join(low, high);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Four(byte* values, byte* x0, byte* x1, byte* x2, byte* x3, long sumAt, short* split,
            out Vector512<int> d0, out Vector512<int> d1, out Vector512<int> d2, out Vector512<int> d3)
        {
            Split(x0, split);
            Split(x1, split + 32);
            Split(x2, split + 64);
            Split(x3, split + 96);
            // 8 rows, then the other 8: four sums, two halves of weights and their products fit into 16 registers
            Half(values, split, out var low0, out var low1, out var low2, out var low3);
            Half(values + 32, split, out var high0, out var high1, out var high2, out var high3);
            d0 = Lanes.Join(low0, high0);
            d1 = Lanes.Join(low1, high1);
            d2 = Lanes.Join(low2, high2);
            d3 = Lanes.Join(low3, high3);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void Half(byte* values, short* split, out Vector256<int> d0, out Vector256<int> d1, out Vector256<int> d2, out Vector256<int> d3)
        {
            d0 = d1 = d2 = d3 = default;
            for (int word = 0; word < Words; word++)
            {
                var w = Vector256.Load((short*)(values + word * 64));
                var (even, odd) = ((w << 8) >> 8, w >> 8);
                d0 = Step(d0, even, odd, split, word);
                d1 = Step(d1, even, odd, split + 32, word);
                d2 = Step(d2, even, odd, split + 64, word);
                d3 = Step(d3, even, odd, split + 96, word);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector256<int> Step(Vector256<int> d, Vector256<short> even, Vector256<short> odd, short* split, int word) =>
            d + Avx2.MultiplyAddAdjacent(even, Vector256.Create(((int*)split)[word]).AsInt16())
                + Avx2.MultiplyAddAdjacent(odd, Vector256.Create(((int*)split)[word + 8]).AsInt16());
    }

    /// <summary>SDOT: s8 by s8.</summary>
    readonly struct ArmDots : IDots
    {
        public static int TileBytes => 512;

        public static bool HasZero => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<int> One(byte* values, byte* x, int* sum, short* split)
        {
            Vector128<int> a = default, b = default, c = default, d = default;
            for (int word = 0; word < Words; word++)
            {
                var spread = Vector128.Create(((int*)x)[word]).AsSByte();
                sbyte* w = (sbyte*)values + word * 64;
                a = Dp.DotProduct(a, Vector128.Load(w), spread);
                b = Dp.DotProduct(b, Vector128.Load(w + 16), spread);
                c = Dp.DotProduct(c, Vector128.Load(w + 32), spread);
                d = Dp.DotProduct(d, Vector128.Load(w + 48), spread);
            }
            return Vector512.Create(Vector256.Create(a, b), Vector256.Create(c, d));
        }

        /// <summary>16 sums and a word of weights fit into 32 registers.</summary>
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
            for (int part = 0; part < 2; part++)
            {
                // four words of activations in a register, of which the product picks one
                Vector128<sbyte> p0 = Vector128.Load((sbyte*)x0 + part * 16), p1 = Vector128.Load((sbyte*)x1 + part * 16);
                Vector128<sbyte> p2 = Vector128.Load((sbyte*)x2 + part * 16), p3 = Vector128.Load((sbyte*)x3 + part * 16);
                sbyte* at = (sbyte*)values + part * 256;
                Vector128<sbyte> w0 = Vector128.Load(at), w1 = Vector128.Load(at + 64), w2 = Vector128.Load(at + 128), w3 = Vector128.Load(at + 192);
                d0 = Pick(d0, w0, w1, w2, w3, p0);
                d1 = Pick(d1, w0, w1, w2, w3, p1);
                d2 = Pick(d2, w0, w1, w2, w3, p2);
                d3 = Pick(d3, w0, w1, w2, w3, p3);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal static Vector128<int> Pick(Vector128<int> d, Vector128<sbyte> w0, Vector128<sbyte> w1, Vector128<sbyte> w2, Vector128<sbyte> w3,
            Vector128<sbyte> x)
        {
            d = Dp.DotProductBySelectedQuadruplet(d, w0, x, 0);
            d = Dp.DotProductBySelectedQuadruplet(d, w1, x, 1);
            d = Dp.DotProductBySelectedQuadruplet(d, w2, x, 2);
            return Dp.DotProductBySelectedQuadruplet(d, w3, x, 3);
        }
    }

    /// <summary>What every processor with vectors of 16 bytes can do: two products of bytes fit into 16 bits.</summary>
    readonly struct PortableDots : IDots
    {
        public static int TileBytes => 512;

        public static bool HasZero => false;

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
            Vector128<int> d = default;
            for (int word = 0; word < Words; word++)
            {
                var w = Vector128.Load((short*)(values + word * 64));
                var (even, odd) = ((w << 8) >> 8, w >> 8);
                var pairs = (even * Vector128.Create(((int*)split)[word]).AsInt16() + odd * Vector128.Create(((int*)split)[word + 8]).AsInt16()).AsInt32();
                d += ((pairs << 16) >> 16) + (pairs >> 16);
            }
            return d;
        }

        static Vector512<int> Scalar(byte* values, byte* x)
        {
            int* d = stackalloc int[Tile.Rows];
            for (int r = 0; r < Tile.Rows; r++)
            {
                d[r] = 0;
                for (int word = 0; word < Words; word++)
                    for (int j = 0; j < 4; j++) d[r] += (sbyte)values[(word * Tile.Rows + r) * 4 + j] * (sbyte)x[word * 4 + j];
            }
            return Vector512.Load(d);
        }
    }
}
