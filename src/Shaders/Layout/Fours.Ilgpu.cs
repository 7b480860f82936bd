using ILGPU;

namespace Tessera.Shaders;

/// <summary>Four words, loaded as 16 bytes: by parts, since an array would lie in memory.</summary>
struct Ints4(int x, int y, int z, int w)
{
    public int X = x, Y = y, Z = z, W = w;

    public static Ints4 operator &(Ints4 a, int mask) => new(a.X & mask, a.Y & mask, a.Z & mask, a.W & mask);

    public static Ints4 operator <<(Ints4 a, int bits) => new(a.X << bits, a.Y << bits, a.Z << bits, a.W << bits);

    /// <summary>The sign follows.</summary>
    public static Ints4 operator >>(Ints4 a, int bits) => new(a.X >> bits, a.Y >> bits, a.Z >> bits, a.W >> bits);

    public static Ints4 operator -(Ints4 a, Ints4 b) => new(a.X - b.X, a.Y - b.Y, a.Z - b.Z, a.W - b.W);

    public static Ints4 operator *(Ints4 a, int b) => new(a.X * b, a.Y * b, a.Z * b, a.W * b);

    public readonly Floats4 ToFloats() => new(X, Y, Z, W);

    /// <summary>The numbers whose bits they are.</summary>
    public readonly Floats4 AsFloats() =>
        new(Interop.IntAsFloat((uint)X), Interop.IntAsFloat((uint)Y), Interop.IntAsFloat((uint)Z), Interop.IntAsFloat((uint)W));
}

/// <summary>Four numbers, as <see cref="Ints4"/>.</summary>
struct Floats4(float x, float y, float z, float w)
{
    public float X = x, Y = y, Z = z, W = w;

    public static Floats4 operator +(Floats4 a, Floats4 b) => new(a.X + b.X, a.Y + b.Y, a.Z + b.Z, a.W + b.W);

    public static Floats4 operator -(Floats4 a, Floats4 b) => new(a.X - b.X, a.Y - b.Y, a.Z - b.Z, a.W - b.W);

    public static Floats4 operator *(Floats4 a, Floats4 b) => new(a.X * b.X, a.Y * b.Y, a.Z * b.Z, a.W * b.W);

    public static Floats4 operator *(Floats4 a, float b) => new(a.X * b, a.Y * b, a.Z * b, a.W * b);

    public readonly float At(int i) => i < 2 ? i == 0 ? X : Y : i == 2 ? Z : W;

    /// <summary>The same bits behind integers that no compiler sees through (zero: 0, known when it runs), so that what is added is rounded before.</summary>
    public readonly Floats4 Rounded(int zero) => new(Round(X, zero), Round(Y, zero), Round(Z, zero), Round(W, zero));

    static float Round(float v, int zero) => Interop.IntAsFloat(Interop.FloatAsInt(v) ^ (uint)zero);
}
