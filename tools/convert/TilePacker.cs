using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tessera.Shaders;

namespace Tessera.Convert;

/// <summary>Turns up to 16 rows of row-major weights into one panel; rows that are missing are padding.</summary>
static unsafe class TilePacker
{
    /// <summary>Packs a panel; false where a value is not finite or does not fit the type.</summary>
    [SkipLocalsInit]
    public static bool Pack(byte* rows, int count, DType from, int cols, DType to, byte* values, byte* scales)
    {
        int tiles = Tile.Tiles(cols), perWord = Tile.PerWord(to), valueBytes = Tile.ValueBytes(to);
        float* x = stackalloc float[Tile.K];
        int* words = stackalloc int[Tile.K];
        bool fits = true;
        for (int r = 0; r < Tile.Rows; r++)
        {
            byte* row = rows + (long)r * cols * from.ElementBytes();
            for (int tile = 0; tile < tiles; tile++)
            {
                int real = r >= count ? 0 : Math.Min(Tile.K, cols - tile * Tile.K);
                Load(row, from, tile * Tile.K, real, x);
                byte* scale = scales + tile * Tile.ScaleBytes(to);
                fits &= Encode(x, to, words, (Half*)scale + r, scale + 2 * Tile.Rows + r);
                int* at = (int*)(values + (long)tile * valueBytes) + r;
                for (int word = 0; word < Tile.K / perWord; word++) at[word * Tile.Rows] = words[word];
            }
        }
        return fits;
    }

    /// <summary>32 values as floats, zeros behind the real ones.</summary>
    static void Load(byte* row, DType from, int k, int real, float* x)
    {
        if (real == Tile.K && from == DType.BF16)
        {
            Widen(row + k * 2).Store(x);
            Widen(row + k * 2 + 32).Store(x + 16);
            return;
        }
        for (int i = 0; i < Tile.K; i++)
            x[i] = i >= real ? 0 : HfTensor.Element(row, from, k + i);
    }

    static Vector512<float> Widen(byte* at)
    {
        var bits = Vector256.Load((ushort*)at);
        return (Vector512.Create(Vector256.WidenLower(bits), Vector256.WidenUpper(bits)) << 16).AsSingle();
    }

    /// <summary>The words of 32 values of one row, and their scale and zero. Q8: absmax / 127 rounded to half; q = roundEven(x / scale).</summary>
    static bool Encode(float* x, DType to, int* words, Half* scale, byte* zero)
    {
        Vector512<float> low = Vector512.Load(x), high = Vector512.Load(x + 16);
        var magnitudes = Vector512.Max(Vector512.Abs(low), Vector512.Abs(high));
        if (!Vector512.LessThanOrEqualAll(magnitudes, Vector512.Create(float.MaxValue))) return false; // NaN or infinity
        switch (to)
        {
            case DType.F32:
                low.Store((float*)words);
                high.Store((float*)words + 16);
                return true;
            case DType.BF16:
                for (int i = 0; i < 16; i++) words[i] = RoundBF16(x[2 * i]) | RoundBF16(x[2 * i + 1]) << 16;
                return !Vector512.GreaterThanAny(magnitudes, Vector512.Create(3.3895314e38f)); // the largest BF16
            case DType.F16:
                for (int i = 0; i < 16; i++) words[i] = HalfBits(x[2 * i]) | HalfBits(x[2 * i + 1]) << 16;
                return !Vector512.GreaterThanOrEqualAny(magnitudes, Vector512.Create(65520f)); // rounds to infinity
            case DType.Q8: return EncodeQ8(low, high, magnitudes, (byte*)words, scale);
            case DType.Q4: return BlockQ4.Encode(low, high, words, scale, zero);
            default: throw new TesseraException($"weights have no type {to.Name()}");
        }
    }

    static bool EncodeQ8(Vector512<float> low, Vector512<float> high, Vector512<float> magnitudes, byte* words, Half* scale)
    {
        float largest = 0;
        var half = Vector256.Max(magnitudes.GetLower(), magnitudes.GetUpper());
        for (int i = 0; i < 8; i++) largest = MathF.Max(largest, half[i]);
        *scale = (Half)(largest / 127);
        float step = (float)*scale;
        if (step == 0 || float.IsInfinity(step))
        {
            new Span<byte>(words, Tile.K).Clear();
            return step == 0;
        }
        var divisor = Vector512.Create(step);
        // A scale that was rounded down can push the largest to 128.
        var bound = Vector512.Create(127f);
        var a = Vector512.ConvertToInt32(Vector512.Max(-bound, Vector512.Min(bound, Vector512.Round(low / divisor))));
        var b = Vector512.ConvertToInt32(Vector512.Max(-bound, Vector512.Min(bound, Vector512.Round(high / divisor))));
        var shorts = Vector512.Narrow(a, b);
        Vector256.Narrow(shorts.GetLower(), shorts.GetUpper()).Store((sbyte*)words);
        return true;
    }

    static int RoundBF16(float x)
    {
        uint bits = BitConverter.SingleToUInt32Bits(x);
        return (int)(bits + 0x7fff + (bits >> 16 & 1) >> 16);
    }

    static int HalfBits(float x) => BitConverter.HalfToUInt16Bits((Half)x);
}
