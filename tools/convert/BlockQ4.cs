using System.Runtime.Intrinsics;
using Tessera.Shaders;

namespace Tessera.Convert;

/// <summary>Rounds 32 weights to Q4 with the least square error.</summary>
static unsafe class BlockQ4
{
    const float Min = -8, Max = 7;

    // What the largest weight becomes before it is cut to the range, from less than the range to a little more. The sign of the scale is free: the side that
    // reaches to -8 may be the positive one.
    const int Tried = 24;
    const float First = 6, Step = 0.15f;

    /// <summary>
    /// The words of 32 numbers and their scale. For each scale that is tried the numbers are rounded, and the scale that fits these best, Σ x q / Σ q²,
    /// lessens the error by (Σ x q)² / Σ q²: the scale with the most is taken, as a half, and the numbers are rounded by it.
    /// </summary>
    /// <returns>False where no half is large enough.</returns>
    public static bool Encode(Vector512<float> low, Vector512<float> high, Vector512<float> magnitudes, int* words, Half* scale)
    {
        float largest = 0, best = 0, gain = -1;
        for (int i = 0; i < 16; i++) largest = MathF.Max(largest, magnitudes[i]);
        for (int i = 0; i < 2 * Tried && largest > 0; i++)
        {
            float inverse = (First + i / 2 * Step) / (i % 2 == 0 ? largest : -largest);
            if (!float.IsFinite(inverse)) break; // too small for any scale
            Vector512<float> a = Round(low * inverse), b = Round(high * inverse);
            float xq = Sum(low * a + high * b), qq = Sum(a * a + b * b);
            if (!(xq * (xq / qq) > gain)) continue;
            (gain, best) = (xq * (xq / qq), xq / qq);
        }
        *scale = (Half)best;
        float step = (float)*scale;
        if (float.IsInfinity(step)) return false;
        var (qLow, qHigh) = step == 0 ? (default, default) : (Round(low / step), Round(high / step));
        int* q = stackalloc int[Tile.K];
        (Vector512.ConvertToInt32(qLow) + Vector512.Create(8)).Store(q);
        (Vector512.ConvertToInt32(qHigh) + Vector512.Create(8)).Store(q + 16);
        for (int word = 0; word < Tile.K / 8; word++)
        {
            words[word] = 0;
            for (int k = word * 8; k < word * 8 + 8; k++) words[word] |= q[k] << Tile.Shift(DType.Q4, k);
        }
        return true;
    }

    static Vector512<float> Round(Vector512<float> x) => Vector512.Min(Vector512.Max(Vector512.Round(x), Vector512.Create(Min)), Vector512.Create(Max));

    /// <summary>In an order of its own, so that a file is the same wherever it is made.</summary>
    static float Sum(Vector512<float> v)
    {
        var a = v.GetLower() + v.GetUpper();
        var b = a.GetLower() + a.GetUpper();
        return (b[0] + b[1]) + (b[2] + b[3]);
    }
}
