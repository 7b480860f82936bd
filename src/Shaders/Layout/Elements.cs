namespace Tessera.Shaders;

/// <summary>One element of a tensor, decoded: what a stored number means. For references, tests and tools; never on a hot path.</summary>
public static unsafe class Elements
{
    public static float Weight(Tensor w, int row, int k) => Weight((byte*)w.Address, w.Type, w.RowCount, w.Cols, row, k);

    /// <summary>Element (row, k) of panels that start at <paramref name="panels"/>.</summary>
    public static float Weight(byte* panels, DType type, int rows, int cols, int row, int k)
    {
        float value = Unscaled(panels, type, rows, cols, row, k);
        return WeightFormat.Of(type).IsQuantised ? value * Scale(panels, type, rows, cols, row, k) : value;
    }

    /// <summary>Element (row, k) before it is scaled: of a quantised type, a whole number.</summary>
    public static float Unscaled(byte* panels, DType type, int rows, int cols, int row, int k)
    {
        uint bits = *(uint*)(panels + Tile.WordOffset(type, cols, row, k)) >> Tile.Shift(type, k);
        return type switch
        {
            DType.F32 => BitConverter.UInt32BitsToSingle(bits),
            DType.BF16 => BFloat((ushort)bits),
            DType.F16 => (float)BitConverter.UInt16BitsToHalf((ushort)bits),
            DType.Q8 => (sbyte)bits,
            DType.Q4 => 16 * (int)(bits & 15) - panels[Tile.ScalePlane(type, rows, cols) + Tile.ZeroOffset(type, cols, row, k)],
            _ => throw new TesseraException($"weights have no type {type.Name()}"),
        };
    }

    /// <summary>What scales element (row, k) of a quantised type.</summary>
    public static float Scale(byte* panels, DType type, int rows, int cols, int row, int k) =>
        (float)*(Half*)(panels + Tile.ScalePlane(type, rows, cols) + Tile.ScaleOffset(type, cols, row, k)) / (type == DType.Q4 ? 16 : 1);

    /// <summary>Element (row, col) of activations.</summary>
    public static float Activation(Tensor x, int row, int col)
    {
        byte* at = (byte*)x.Address + (long)row * Rows.Stride(x.Type, x.Cols);
        return x.Type switch
        {
            DType.F32 => ((float*)at)[col],
            DType.F16 => (float)((Half*)at)[col],
            DType.A8 => ((sbyte*)at)[col] * ((float*)(at + Rows.ScaleOffset(x.Cols)))[col / 32],
            _ => throw new TesseraException($"activations have no type {x.Type.Name()}"),
        };
    }

    /// <summary>Stores a row of activations as its type says and fills the padding with zeros.</summary>
    public static void StoreRow(Tensor y, int row, ReadOnlySpan<float> values)
    {
        Span<float> block = stackalloc float[32];
        for (int g = 0; g < Tile.Tiles(y.Cols); g++)
        {
            block.Clear();
            values[(g * 32)..Math.Min(g * 32 + 32, values.Length)].CopyTo(block);
            StoreBlock(y, row, g, block);
        }
    }

    /// <summary>Stores 32 values as one scale block of a row. A8: s = absmax / 127 in F32 (0 below 1e-30), q = roundEven(x / s), sum = Σ q.</summary>
    public static void StoreBlock(Tensor y, int row, int block, ReadOnlySpan<float> values)
    {
        byte* at = (byte*)y.Address + (long)row * Rows.Stride(y.Type, y.Cols);
        if (y.Type == DType.F32)
        {
            values[..32].CopyTo(new Span<float>((float*)at + block * 32, 32));
            return;
        }
        if (y.Type == DType.F16)
        {
            for (int c = 0; c < 32; c++) ((Half*)at)[block * 32 + c] = (Half)values[c];
            return;
        }
        float largest = 0;
        foreach (float v in values) largest = MathF.Max(largest, MathF.Abs(v));
        float scale = largest < SmallestScaled ? 0 : largest / 127;
        int sum = 0;
        for (int c = 0; c < 32; c++)
        {
            int q = scale == 0 ? 0 : (int)MathF.Round(values[c] / scale, MidpointRounding.ToEven);
            ((sbyte*)at)[block * 32 + c] = (sbyte)q;
            sum += q;
        }
        ((float*)(at + Rows.ScaleOffset(y.Cols)))[block] = scale;
        ((int*)(at + Rows.SumOffset(y.Cols)))[block] = sum;
    }

    /// <summary>Scale blocks whose largest value is below this are stored as zeros: their scale would lose its precision.</summary>
    public const float SmallestScaled = 1e-30f;

    public static float BFloat(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);
}
