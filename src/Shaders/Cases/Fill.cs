using System.Runtime.InteropServices;

namespace Tessera.Shaders;

/// <summary>Makes operands: random numbers of a seed in the layouts of the ops.</summary>
public static unsafe class Fill
{
    const int DistinctValues = 1 << 20; // a larger matrix or cache repeats them

    /// <summary>Random weights in panels, the padding zero. Quantised: as large as the type can be, with positive scales.</summary>
    public static Operand Weights(Random random, DType type, int rows, int cols) => Experts(random, type, 1, rows, cols);

    /// <summary>The matrices of experts, one behind the other.</summary>
    public static Operand Experts(Random random, DType type, int experts, int rows, int cols) => Experts(random, type, experts, rows, cols, _ => true);

    /// <summary>The same, with zeros in the rows that are not real.</summary>
    internal static Operand Experts(Random random, DType type, int experts, int rows, int cols, Func<int, bool> real)
    {
        int seed = random.Next();
        long one = Tile.Bytes(type, rows, cols), plane = Tile.ScalePlane(type, rows, cols);
        int own = (int)Math.Min(rows, Math.Max(1, (long)DistinctValues / (Tile.Pad(cols) * Tile.Rows)) * Tile.Rows);
        long ownPlane = Tile.ScalePlane(type, own, cols);
        return new(OperandForm.Panels, type, rows, cols, experts * one, m => Tensor.OfExperts(m, 0, type, experts, rows, cols), to =>
        {
            var values = new Random(seed);
            byte[] panels = [];
            for (int e = 0; e < experts; e++)
            {
                if (e == 0 || own == rows) panels = Panels(values, type, own, cols, real);
                Repeat(panels.AsSpan(0, (int)ownPlane), e * one, plane, to);
                Repeat(panels.AsSpan((int)ownPlane), e * one + plane, one - plane, to);
            }
        });
    }

    static byte[] Panels(Random random, DType type, int rows, int cols, Func<int, bool> real)
    {
        var bytes = new byte[Tile.Bytes(type, rows, cols)];
        float largest = type == DType.Q4 ? 7 : 127;
        for (int r = 0; r < rows; r++)
            for (int k = 0; k < cols; k++)
            {
                float value = (float)(random.NextDouble() * 2 - 1);
                var at = bytes.AsSpan((int)Tile.ValueOffset(type, cols, r, k));
                if (WeightFormat.Of(type).IsQuantised)
                {
                    var scale = bytes.AsSpan((int)(Tile.ScalePlane(type, rows, cols) + Tile.ScaleOffset(type, cols, r, k)));
                    MemoryMarshal.Write(scale, (Half)(0.5f / largest * (1 + (r + k / Tile.K) % 3)));
                }
                if (!real(r)) value = 0;
                if (WeightFormat.Of(type).HasZero)
                    bytes[Tile.ScalePlane(type, rows, cols) + Tile.ZeroOffset(type, cols, r, k)] = (byte)(real(r) ? 126 + (r + k / Tile.K) % 5 : 128);
                switch (type)
                {
                    case DType.F32: MemoryMarshal.Write(at, value); break;
                    case DType.BF16: MemoryMarshal.Write(at, (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16)); break;
                    case DType.F16: MemoryMarshal.Write(at, (Half)value); break;
                    case DType.Q8: at[0] = (byte)(sbyte)Math.Round(value * largest); break;
                    case DType.Q4: at[0] |= (byte)(((int)Math.Round(value * largest) + 8) << Tile.Shift(type, k) % 8); break;
                    default: throw new TesseraException($"weights have no type {type.Name()}");
                }
            }
        return bytes;
    }

    /// <summary>Random activations in [-spread, spread].</summary>
    public static Operand Rows(Random random, DType type, int rows, int cols, float spread = 1)
    {
        int seed = random.Next();
        long count = Shaders.Rows.Bytes(type, rows, cols);
        return new(OperandForm.Rows, type, rows, cols, count, m => Tensor.OfRows(m, 0, type, rows, cols), to =>
        {
            var values = new Random(seed);
            var bytes = new byte[count];
            var row = new float[cols];
            fixed (byte* at = bytes)
            {
                var tensor = Tensor.OfRows(new Operand.Pinned(at, count), 0, type, rows, cols);
                for (int r = 0; r < rows; r++)
                {
                    for (int c = 0; c < cols; c++) row[c] = (float)(values.NextDouble() * 2 - 1) * spread;
                    Elements.StoreRow(tensor, r, row);
                }
            }
            to(0, bytes);
        });
    }

    /// <summary>Rows that the op writes.</summary>
    public static Operand Out(DType type, int rows, int cols, double bound)
    {
        long count = Shaders.Rows.Bytes(type, rows, cols);
        return new Operand(OperandForm.Rows, type, rows, cols, count, m => Tensor.OfRows(m, 0, type, rows, cols), Poison(count)).InOut(bound);
    }

    /// <summary>Packed rows that the op writes.</summary>
    public static Operand PackedOut(DType type, int rows, int cols, double bound = 0) => Unpadded(OperandForm.Packed, type, rows, cols, bound);

    /// <summary>Integers that the op writes, for the call as a whole.</summary>
    public static Operand ListOut(int count) => Unpadded(OperandForm.List, DType.I32, 1, count, 0);

    static Operand Unpadded(OperandForm form, DType type, int rows, int cols, double bound)
    {
        long count = (long)rows * cols * type.ElementBytes();
        return new Operand(form, type, rows, cols, count, m => Tensor.Packed(m, 0, type, rows, cols), Poison(count)).InOut(bound);
    }

    /// <summary>Numbers as they are given.</summary>
    public static Operand Packed<T>(DType type, int rows, int cols, ReadOnlySpan<T> values) where T : unmanaged
    {
        byte[] bytes = MemoryMarshal.AsBytes(values).ToArray();
        return new(OperandForm.Packed, type, rows, cols, bytes.Length, m => Tensor.Packed(m, 0, type, rows, cols), to => to(0, bytes));
    }

    /// <summary>Random positive numbers around 1: the weights of a norm, a bias.</summary>
    public static Operand Vector(Random random, int cols, int rows = 1)
    {
        var values = new float[rows * cols];
        for (int i = 0; i < values.Length; i++) values[i] = (float)(random.NextDouble() + 0.5);
        return Packed<float>(DType.F32, rows, cols, values);
    }

    public static Operand Ints(params ReadOnlySpan<int> values) => Packed(DType.I32, 1, values.Length, values);

    /// <summary>All keys, or all values, of a layer: random where <paramref name="slots"/> says (block · 16 + place), poison elsewhere. Null: random
    /// everywhere.</summary>
    public static Operand Cache(Random random, DType type, int kvHeads, int headDim, int blocks, bool keys, int[]? slots)
    {
        int seed = random.Next();
        long block = KvBlock.Bytes(type, kvHeads, headDim, 1), count = blocks * block;
        return new(OperandForm.Cache, type, blocks * kvHeads * KvBlock.Tokens, headDim, count, m => KvBlock.Tensor(m, 0, type, kvHeads, headDim, blocks), to =>
        {
            var values = new Random(seed);
            int own = slots is null ? (int)Math.Clamp(DistinctValues / (KvBlock.Tokens * kvHeads * headDim), 1, blocks) : blocks;
            var bytes = new byte[own * block];
            Array.Fill(bytes, Operand.Poison);
            var row = new float[headDim];
            fixed (byte* at = bytes)
            fixed (float* numbers = row)
                foreach (int slot in slots ?? [.. Enumerable.Range(0, own * KvBlock.Tokens)])
                    for (int h = 0; h < kvHeads; h++)
                    {
                        float spread = 1;
                        for (int d = 0; d < headDim; d++)
                        {
                            if (type == DType.Q8 && d % Tile.K == 0) spread = (float)values.NextDouble(); // scales that differ
                            row[d] = (float)(values.NextDouble() * 2 - 1) * spread;
                        }
                        byte* head = at + KvBlock.Offset(type, kvHeads, headDim, slot / KvBlock.Tokens, h);
                        if (keys) KvBlock.StoreKey(head, type, headDim, slot % KvBlock.Tokens, numbers);
                        else KvBlock.StoreValue(head, type, headDim, slot % KvBlock.Tokens, numbers);
                    }
            Repeat(bytes, 0, count, to);
        });
    }

    static Action<Operand.Part> Poison(long count) => to =>
    {
        var bytes = new byte[count];
        Array.Fill(bytes, Operand.Poison);
        to(0, bytes);
    };

    static void Repeat(ReadOnlySpan<byte> bytes, long offset, long count, Operand.Part to)
    {
        for (long done = 0; done < count; done += bytes.Length) to(offset + done, bytes[..(int)Math.Min(bytes.Length, count - done)]);
    }
}
