using System.Runtime.Intrinsics;
using Tessera.Shaders;

namespace Tessera.Convert;

/// <summary>Rounds 32 weights to Q4 with the least error that a scale and a zero can have.</summary>
static unsafe class BlockQ4
{
    const float Max = 15;
    const int Tried = 16;
    const float First = 12, Step = 0.22f; // steps that the range is cut into before it is cut off

    /// <summary>
    /// The words of 32 numbers, their scale and zero, so that x ≈ (q - zero / 16) · scale. Their range, which holds 0, is cut into fewer and more steps than
    /// there are; numbers are rounded, and the line that fits them best (least squares) gives scale and zero, of which the pair with the least error counts.
    /// Errors weigh by |x| and its mean: large weights move more of an answer.
    /// </summary>
    /// <returns>False where no half is large enough.</returns>
    public static bool Encode(Vector512<float> low, Vector512<float> high, int* words, Half* scale, byte* zero)
    {
        float min = Math.Min(0, Least(Vector512.Min(low, high))), max = Math.Max(0, -Least(-Vector512.Max(low, high)));
        (*scale, *zero) = (default, 0);
        new Span<int>(words, Tile.K / 8).Clear();
        if ((Half)((max - min) / Max) == default) return true;
        if (Half.IsInfinity((Half)((max - min) / First))) return false;
        var mean = Vector512.Create(Sum(Vector512.Abs(low) + Vector512.Abs(high)) / Tile.K);
        Vector512<float> wLow = Vector512.Abs(low) + mean, wHigh = Vector512.Abs(high) + mean;
        float w = Sum(wLow + wHigh), wx = Sum(wLow * low + wHigh * high);
        float least = float.MaxValue;
        Try((max - min) / Max, -min);
        for (int i = 0; i < 2 * Tried; i++)
        {
            float inverse = (First + i / 2 * Step) / (max - min), shift = i % 2 * 0.5f * (Max - (max - min) * inverse); // cut off above, or on both sides
            Vector512<float> a = Round((low - Vector512.Create(min)) * inverse + Vector512.Create(shift));
            Vector512<float> b = Round((high - Vector512.Create(min)) * inverse + Vector512.Create(shift));
            float q = Sum(wLow * a + wHigh * b), qq = Sum(wLow * a * a + wHigh * b * b), qx = Sum(wLow * a * low + wHigh * b * high);
            float determinant = w * qq - q * q;
            if (determinant > 0) Try((w * qx - wx * q) / determinant, (q * qx - qq * wx) / determinant);
        }
        var (x, y) = Numbers((float)*scale, *zero, low, high);
        int* numbers = stackalloc int[Tile.K];
        Vector512.ConvertToInt32(x).Store(numbers);
        Vector512.ConvertToInt32(y).Store(numbers + 16);
        for (int k = 0; k < Tile.K; k++) words[k / 8] |= numbers[k] << Tile.Shift(DType.Q4, k);
        return true;

        // step: of one number; below: what 0 lies above the first.
        void Try(float step, float below)
        {
            var half = (Half)step;
            float rounded = (float)half;
            if (!(rounded > 0) || Half.IsInfinity(half)) return;
            byte z = (byte)Math.Clamp(MathF.Round(16 * below / rounded), 0, 255);
            var (a, b) = Numbers(rounded, z, low, high);
            Vector512<float> shift = Vector512.Create(z / 16f), s = Vector512.Create(rounded);
            Vector512<float> errorLow = (a - shift) * s - low, errorHigh = (b - shift) * s - high;
            float error = Sum(wLow * errorLow * errorLow + wHigh * errorHigh * errorHigh);
            if (error < least) (least, *scale, *zero) = (error, half, z);
        }
    }

    static (Vector512<float>, Vector512<float>) Numbers(float scale, byte zero, Vector512<float> low, Vector512<float> high)
    {
        Vector512<float> s = Vector512.Create(scale), z = Vector512.Create(zero / 16f);
        return (Round(low / s + z), Round(high / s + z));
    }

    static Vector512<float> Round(Vector512<float> x) => Vector512.Min(Vector512.Max(Vector512.Round(x), Vector512<float>.Zero), Vector512.Create(Max));

    /// <summary>In an order of its own, so that a file is the same wherever it is made.</summary>
    static float Sum(Vector512<float> v)
    {
        var a = v.GetLower() + v.GetUpper();
        var b = a.GetLower() + a.GetUpper();
        return (b[0] + b[1]) + (b[2] + b[3]);
    }

    static float Least(Vector512<float> v)
    {
        var a = Vector256.Min(v.GetLower(), v.GetUpper());
        var b = Vector128.Min(a.GetLower(), a.GetUpper());
        return MathF.Min(MathF.Min(b[0], b[1]), MathF.Min(b[2], b[3]));
    }
}
