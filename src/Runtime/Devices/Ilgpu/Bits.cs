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

    /// <summary>The sum of the products of four signed bytes.</summary>
    public static int Dot(int a, int b) =>
        (a << 24 >> 24) * (b << 24 >> 24) + (a << 16 >> 24) * (b << 16 >> 24) + (a << 8 >> 24) * (b << 8 >> 24) + (a >> 24) * (b >> 24);
}
