using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Shaders;

/// <summary>Vectors of 16 lanes, a lane a row of a panel: what host bodies share. One code path; where the CPU has narrower vectors the JIT splits
/// them.</summary>
static unsafe class Lanes
{
    /// <summary>The low halves of 16 words as floats times 2^-112; see <see cref="HalfScale"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LowHalf(Vector512<int> words) => HalfBits(words << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> HighHalf(Vector512<int> words) => HalfBits(words);

    /// <summary>A half shifted into a float's exponent and mantissa is the half times 2^-112, subnormals included: .NET 10 has no F16C.</summary>
    public const float HalfScale = 5.192296858534828e33f; // 2^112

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> HalfBits(Vector512<int> high) =>
        (Vector512.ShiftRightArithmetic(high, 3) & Vector512.Create(unchecked((int)0x8fffe000))).AsSingle();

    /// <summary>Both halves in one register: <see cref="Vector512.Create{T}(Vector256{T}, Vector256{T})"/> goes by the stack.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> Join<T>(Vector256<T> low, Vector256<T> high) => low.ToVector512Unsafe().WithUpper(high);

    /// <summary>16 consecutive halves as floats times 2^-112.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> RawHalves(byte* at)
    {
        var halves = Vector256.Load((short*)at);
        var wide = Avx512F.IsSupported ? Avx512F.ConvertToVector512Int32(halves) : Vector512.Create(Vector256.WidenLower(halves), Vector256.WidenUpper(halves));
        return ((wide << 13) & Vector512.Create(unchecked((int)0x8fffe000))).AsSingle();
    }

    /// <summary>16 consecutive halves as floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Halves(byte* at) => RawHalves(at) * Vector512.Create(HalfScale);

    /// <summary>Stores 16 floats as halves, rounded to even.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreHalves(byte* at, Vector512<float> x)
    {
        var bits = x.AsInt32();
        var magnitude = bits & Vector512.Create(int.MaxValue);
        // Another bias and 13 bits less; what carries out of the mantissa raises the exponent, up to infinity.
        var normal = (magnitude - Vector512.Create((112 << 23) - 0xfff) + ((magnitude >>> 13) & Vector512<int>.One)) >>> 13;
        // Added to 0.5, a float's last bit is a subnormal half's.
        var subnormal = (magnitude.AsSingle() + Vector512.Create(0.5f)).AsInt32() - Vector512.Create(126 << 23);
        var half = Vector512.ConditionalSelect(Vector512.LessThan(magnitude, Vector512.Create(113 << 23)), subnormal, normal);
        half = Vector512.Min(half, Vector512.Create(0x7c00));
        half = Vector512.ConditionalSelect(Vector512.GreaterThan(magnitude, Vector512.Create(0x7f800000)), Vector512.Create(0x7e00), half);
        half |= (bits >>> 16) & Vector512.Create(0x8000);
        Vector256.Narrow(half.AsUInt32().GetLower(), half.AsUInt32().GetUpper()).Store((ushort*)at);
    }

    /// <summary>e^x to about 2 ulp for x up to 88; below -87 the result is 0. Cephes' split of ln 2 and its polynomial of degree 5.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        var inRange = Vector512.GreaterThanOrEqual(x, Vector512.Create(-87f));
        var clamped = Vector512.Min(Vector512.Max(x, Vector512.Create(-87f)), Vector512.Create(88f));
        var n = Vector512.Round(clamped * Vector512.Create(1.44269504088896341f));
        var r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-0.693359375f), clamped);
        r = Vector512.FusedMultiplyAdd(n, Vector512.Create(2.12194440e-4f), r);
        var p = Vector512.Create(1.9875691500e-4f);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1.3981999507e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(8.3334519073e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(4.1665795894e-2f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1.6666665459e-1f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(5.0000001201e-1f));
        p = Vector512.FusedMultiplyAdd(p, r * r, r) + Vector512<float>.One;
        var power = ((Vector512.ConvertToInt32(n) + Vector512.Create(127)) << 23).AsSingle();
        var result = p * power;
        // NaN must stay NaN, so that a broken value shows.
        result = Vector512.ConditionalSelect(inRange, result, Vector512<float>.Zero);
        return Vector512.ConditionalSelect(Vector512.Equals(x, x), result, x);
    }

    /// <summary>x / (1 + e^-x)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Silu(Vector512<float> x) => x / (Vector512<float>.One + Exp(-x));

    /// <summary>Stores 32 values as scale block <paramref name="block"/> of a row of activations, F32 or A8; see <see cref="Elements.StoreRow"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBlock(byte* row, DType type, int cols, int block, Vector512<float> low, Vector512<float> high)
    {
        if (type == DType.F32)
        {
            low.Store((float*)row + block * 32);
            high.Store((float*)row + block * 32 + 16);
            return;
        }
        float largest = Max(Vector512.Max(Vector512.Abs(low), Vector512.Abs(high)));
        float scale = largest < Elements.SmallestScaled ? 0 : largest / 127;
        var divisor = Vector512.Create(scale == 0 ? float.MaxValue : scale);
        var qLow = Vector512.ConvertToInt32(Vector512.Round(low / divisor));
        var qHigh = Vector512.ConvertToInt32(Vector512.Round(high / divisor));
        var shorts = Vector512.Narrow(qLow, qHigh);
        Vector256.Narrow(shorts.GetLower(), shorts.GetUpper()).Store((sbyte*)row + block * 32);
        ((float*)(row + Rows.ScaleOffset(cols)))[block] = scale;
        ((int*)(row + Rows.SumOffset(cols)))[block] = Vector512.Sum(qLow + qHigh);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Vector512<float> v)
    {
        var a = Vector256.Max(v.GetLower(), v.GetUpper());
        var b = Vector128.Max(a.GetLower(), a.GetUpper());
        b = Vector128.Max(b, Vector128.Shuffle(b, Vector128.Create(2, 3, 0, 1)));
        return Vector128.Max(b, Vector128.Shuffle(b, Vector128.Create(1, 0, 3, 2))).ToScalar();
    }

    /// <summary>The sum of 16 lanes: halves onto each other, in an order that Vector512.Sum does not promise.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector512<float> v)
    {
        var a = v.GetLower() + v.GetUpper();
        var b = a.GetLower() + a.GetUpper();
        b += Vector128.Shuffle(b, Vector128.Create(2, 3, 0, 1));
        return (b + Vector128.Shuffle(b, Vector128.Create(1, 0, 3, 2))).ToScalar();
    }
}
