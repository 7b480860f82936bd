using System.Runtime.CompilerServices;
using Tessera.Shaders;

namespace Tessera.Convert;

/// <summary>
/// One tensor of a safetensors file: where its bytes lie, row-major. They are read, not mapped: a file that is cut off meanwhile is an error, not the end of
/// the process.
/// </summary>
/// <param name="Type">I32 stands for every type that is not read.</param>
/// <param name="Offset">Of the first byte in the file; it need not be aligned.</param>
public sealed unsafe record HfTensor(Safetensors Source, string Name, DType Type, int[] Shape, long Offset)
{
    /// <summary>Rows of the last dimension.</summary>
    public int Rows => Shape.Length < 2 ? 1 : Shape[..^1].Aggregate(1, (a, b) => checked(a * b));

    public int Cols => Shape[^1];

    public string File => Source.Path;

    /// <summary>Element <paramref name="i"/> of a row, which need not be aligned.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Element(byte* row, DType type, long i) => type switch
    {
        DType.F32 => Unsafe.ReadUnaligned<float>(row + i * 4),
        DType.BF16 => Elements.BFloat(Unsafe.ReadUnaligned<ushort>(row + i * 2)),
        _ => (float)Unsafe.ReadUnaligned<Half>(row + i * 2),
    };

    /// <summary>Fills <paramref name="to"/> with whole rows from row <paramref name="first"/> on.</summary>
    public void Read(int first, Span<byte> to) => Source.Read(this, Offset + (long)first * Cols * Type.ElementBytes(), to);
}
