using ILGPU;

namespace Tessera.Runtime.Devices.Ilgpu;

/// <summary>What a stored word means, in the operations that ILGPU compiles.</summary>
static class Bits
{
    /// <summary>The half in the low 16 bits: shifted into a float's fields it is 2^-112 times its value, subnormals included.</summary>
    public static float Half(int bits)
    {
        float magnitude = Interop.IntAsFloat((uint)(bits & 0x7fff) << 13) * 5.192296858534828e33f;
        return (bits & 0x8000) != 0 ? -magnitude : magnitude;
    }

    /// <summary>The nearest half, to even; what no half holds becomes infinite. Subnormals: added to 1/2 they stand in its lowest bits.</summary>
    public static int ToHalf(float value)
    {
        uint bits = Interop.FloatAsInt(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
        uint half = magnitude > 0x7f800000 ? 0x7e00
            : magnitude >= 0x477ff000 ? 0x7c00
            : magnitude < 0x38800000 ? Interop.FloatAsInt(Interop.IntAsFloat(magnitude) + 0.5f) - 0x3f000000
            : (magnitude + 0xfff + (magnitude >> 13 & 1) - 0x38000000) >> 13;
        return (int)(sign | half);
    }

    /// <summary>The sum of the products of four signed bytes.</summary>
    public static int Dot(int a, int b) =>
        (a << 24 >> 24) * (b << 24 >> 24) + (a << 16 >> 24) * (b << 16 >> 24) + (a << 8 >> 24) * (b << 8 >> 24) + (a >> 24) * (b >> 24);

    /// <summary>e^x as the host has it: Cephes' split of ln 2 and its polynomial of degree 5.</summary>
    public static float Exp(float x)
    {
        float clamped = IntrinsicMath.Min(IntrinsicMath.Max(x, -87f), 88f);
        int n = (int)(clamped * 1.44269504088896341f + (clamped < 0 ? -0.5f : 0.5f));
        float r = n * 2.12194440e-4f + (n * -0.693359375f + clamped);
        float p = 1.9875691500e-4f;
        p = p * r + 1.3981999507e-3f;
        p = p * r + 8.3334519073e-3f;
        p = p * r + 4.1665795894e-2f;
        p = p * r + 1.6666665459e-1f;
        p = p * r + 5.0000001201e-1f;
        p = p * (r * r) + r + 1;
        float result = x < -87f ? 0 : p * Interop.IntAsFloat((uint)(n + 127) << 23);
        return float.IsNaN(x) ? x : result;
    }
}
