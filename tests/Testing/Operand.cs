using System.Runtime.InteropServices;
using Tessera.Shaders;

namespace Tessera.Testing;

/// <summary>A tensor of an op under test: the same bytes for the reference and the device, with guard words behind outputs.</summary>
public sealed unsafe class Operand
{
    public const int GuardBytes = 256;
    public const byte Guard = 0xA5, Poison = 0xFF; // four bytes of 0xFF are a NaN, and -1 as an integer

    Operand(byte[] bytes, DType type, int rows, int cols, Func<DeviceMemory, Tensor> view, bool output)
    {
        (Bytes, Type, RowCount, Cols, View, Output) = (bytes, type, rows, cols, view, output);
    }

    public byte[] Bytes { get; }
    public DType Type { get; }
    public int RowCount { get; }
    public int Cols { get; }
    public bool Output { get; }
    internal Func<DeviceMemory, Tensor> View { get; }
    internal Tensor OnReference { get; set; }
    internal Tensor OnDevice { get; set; }

    /// <summary>Random weights in panels, the padding zero. Q8: s8 in [-127, 127] with positive scales.</summary>
    public static Operand Weights(Random random, DType type, int rows, int cols)
    {
        var bytes = new byte[Tile.Bytes(type, rows, cols)];
        for (int r = 0; r < rows; r++)
            for (int k = 0; k < cols; k++)
            {
                float value = (float)(random.NextDouble() * 2 - 1);
                var at = bytes.AsSpan((int)Tile.ValueOffset(type, cols, r, k));
                switch (type)
                {
                    case DType.F32: MemoryMarshal.Write(at, value); break;
                    case DType.BF16: MemoryMarshal.Write(at, (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16)); break;
                    case DType.F16: MemoryMarshal.Write(at, (Half)value); break;
                    default:
                        at[0] = (byte)(sbyte)Math.Round(value * 127);
                        MemoryMarshal.Write(bytes.AsSpan((int)(Tile.ScalePlane(type, rows, cols) + Tile.ScaleOffset(cols, r, k))), (Half)(0.5f / 127 * (1 + (r + k / 32) % 3)));
                        break;
                }
            }
        return new(bytes, type, rows, cols, m => Tensor.Weights(m, 0, type, rows, cols), false);
    }

    /// <summary>All keys, or all values, of a layer.</summary>
    public static Operand Cache(byte[] bytes, DType type, int kvHeads, int headDim, int blocks, bool output = false) =>
        new(bytes, type, blocks * kvHeads * KvBlock.Tokens, headDim, m => KvBlock.Tensor(m, 0, type, kvHeads, headDim, blocks), output);

    /// <summary>The matrices of experts, one behind the other.</summary>
    public static Operand Experts(byte[] bytes, DType type, int experts, int rows, int cols) => new(bytes, type, rows, cols, m => Tensor.OfExperts(m, 0, type, experts, rows, cols), false);

    /// <summary>Random activations, padding included.</summary>
    public static Operand Rows(Random random, DType type, int rows, int cols, float spread = 1)
    {
        var bytes = new byte[Shaders.Rows.Bytes(type, rows, cols)];
        var row = new float[cols];
        fixed (byte* at = bytes)
        {
            var tensor = Tensor.OfRows(new Pinned(at, bytes.Length), 0, type, rows, cols);
            for (int r = 0; r < rows; r++)
            {
                for (int c = 0; c < cols; c++) row[c] = (float)(random.NextDouble() * 2 - 1) * spread;
                Elements.StoreRow(tensor, r, row);
            }
        }
        return new(bytes, type, rows, cols, m => Tensor.OfRows(m, 0, type, rows, cols), false);
    }

    /// <summary>Rows that the op writes: poisoned before, guarded behind.</summary>
    public static Operand Out(DType type, int rows, int cols)
    {
        var bytes = new byte[Shaders.Rows.Bytes(type, rows, cols)];
        Array.Fill(bytes, Poison);
        return new(bytes, type, rows, cols, m => Tensor.OfRows(m, 0, type, rows, cols), true);
    }

    /// <summary>The same rows as input and output.</summary>
    public static Operand InOut(Operand rows) => new(rows.Bytes, rows.Type, rows.RowCount, rows.Cols, rows.View, true);

    public static Operand Packed<T>(DType type, int rows, int cols, ReadOnlySpan<T> values, bool output = false) where T : unmanaged =>
        new(MemoryMarshal.AsBytes(values).ToArray(), type, rows, cols, m => Tensor.Packed(m, 0, type, rows, cols), output);

    public static Operand PackedRandom(Random random, int rows, int cols)
    {
        var values = new float[rows * cols];
        for (int i = 0; i < values.Length; i++) values[i] = (float)(random.NextDouble() + 0.5);
        return Packed<float>(DType.F32, rows, cols, values);
    }

    public static Operand Ints(params ReadOnlySpan<int> values) => Packed(DType.I32, 1, values.Length, values);

    /// <summary>Memory of the test itself.</summary>
    internal sealed class Pinned(byte* at, long bytes) : DeviceMemory(bytes)
    {
        public override ulong Address => (ulong)at;
        public override void Dispose() { }
    }
}
