using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Shaders;

public static unsafe partial class AttentionOp
{
    /// <summary>How the cache's numbers become floats on the host.</summary>
    interface IKv
    {
        /// <summary>Of a number.</summary>
        static abstract int Bytes { get; }

        /// <summary>What keys and values are to be multiplied with, folded into queries and weights.</summary>
        static abstract float Unit { get; }

        /// <summary>Keys have a scale for each 32 dimensions, which the caller multiplies with.</summary>
        static abstract bool Scaled { get; }

        /// <summary>Dimension j, 0 to 3, of four of 16 tokens' keys.</summary>
        static abstract Vector512<float> Key(byte* at, int j);

        /// <summary>16 dimensions of a value, times their scale where there is one.</summary>
        static abstract Vector512<float> Value(byte* at, float* scale);
    }

    readonly struct FloatKv : IKv
    {
        public static int Bytes => 4;

        public static float Unit => 1;

        public static bool Scaled => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Key(byte* at, int j) => Vector512.Load((float*)at + 16 * j);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Value(byte* at, float* scale) => Vector512.Load((float*)at);
    }

    /// <summary>Halves are read as 2^-112 times themselves.</summary>
    readonly struct HalfKv : IKv
    {
        public static int Bytes => 2;

        public static float Unit => Lanes.HalfScale;

        public static bool Scaled => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Key(byte* at, int j)
        {
            var words = Vector512.Load((int*)at + j / 2 * 16);
            return j % 2 == 0 ? Lanes.LowHalf(words) : Lanes.HighHalf(words);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Value(byte* at, float* scale) => Lanes.RawHalves(at);
    }

    readonly struct ByteKv : IKv
    {
        public static int Bytes => 1;

        public static float Unit => 1;

        public static bool Scaled => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Key(byte* at, int j)
        {
            var words = Vector512.Load((int*)at);
            return Vector512.ConvertToSingle(Vector512.ShiftRightArithmetic(j == 3 ? words : words << (24 - 8 * j), 24));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Value(byte* at, float* scale)
        {
            Vector512<int> wide;
            if (Avx512F.IsSupported) wide = Avx512F.ConvertToVector512Int32(Vector128.Load((sbyte*)at));
            else if (Avx2.IsSupported) wide = Vector512.Create(Avx2.ConvertToVector256Int32((sbyte*)at), Avx2.ConvertToVector256Int32((sbyte*)at + 8));
            else
            {
                var (low, high) = Vector128.Widen(Vector128.Load((sbyte*)at));
                wide = Vector512.Create(Vector256.Create(Vector128.WidenLower(low), Vector128.WidenUpper(low)),
                    Vector256.Create(Vector128.WidenLower(high), Vector128.WidenUpper(high)));
            }
            return Vector512.ConvertToSingle(wide) * Vector512.Create(*scale);
        }
    }
}
