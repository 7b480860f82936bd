using System.Runtime.Intrinsics;

namespace Tessera.Shaders;

public static unsafe partial class EmbedOp
{
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        Tensor table = call.Tensors[Table];
        DType type = table.Type;
        int padded = Tile.Pad(a.Dim), words = Tile.K / Tile.PerWord(type);
        byte* values = call.At<byte>(Table), scales = values + Tile.ScalePlane(type, a.Vocabulary, a.Dim);
        bool scaled = WeightFormat.Of(type).IsQuantised;
        int* block = stackalloc int[Tile.K];
        end = Math.Min(end, call.Count(Count, a.Tokens));
        for (int t = begin; t < end; t++)
        {
            int id = call.At<int>(Ids)[t];
            float* x = call.At<float>(X) + (long)t * padded;
            if ((uint)id >= (uint)a.Vocabulary)
            {
                new Span<float>(x, padded).Clear();
                continue;
            }
            for (int k = 0; k < padded; k += Tile.K)
            {
                int* row = (int*)(values + Tile.ValueOffset(type, a.Dim, id, k));
                for (int w = 0; w < words; w++) block[w] = row[w * Tile.Rows];
                float scale = scaled ? (float)*(Half*)(scales + Tile.ScaleOffset(type, a.Dim, id, k)) : 1;
                if (type == DType.Q4) Spread(block);
                var zero = Vector512.Create(type == DType.Q4 ? scales[Tile.ZeroOffset(type, a.Dim, id, k)] / 16f : 0);
                ((Decode(type, (byte*)block, 0) - zero) * scale).Store(x + k);
                ((Decode(type, (byte*)block, 16) - zero) * scale).Store(x + k + 16);
            }
        }
    }

    /// <summary>16 consecutive elements from element <paramref name="at"/> on.</summary>
    static Vector512<float> Decode(DType type, byte* block, int at) => type switch
    {
        DType.F32 => Vector512.Load((float*)block + at),
        DType.BF16 => (Wide((short*)block + at) << 16).AsSingle(),
        DType.F16 => Lanes.Halves(block + at * 2),
        DType.Q8 or DType.Q4 => Vector512.ConvertToSingle(Vector512.Create(Bytes((sbyte*)block + at), Bytes((sbyte*)block + at + 8))),
        _ => throw new TesseraException($"weights have no type {type.Name()}"),
    };

    /// <summary>Turns the 4 words of 32 elements of Q4 into 32 bytes.</summary>
    static void Spread(int* block)
    {
        for (int word = 3; word >= 0; word--) // from the end: what is not read yet is not overwritten
        {
            uint w = (uint)block[word];
            (block[2 * word], block[2 * word + 1]) = ((int)(w & 0x0f0f0f0f), (int)(w >> 4 & 0x0f0f0f0f));
        }
    }

    static Vector512<int> Wide(short* at) => Vector512.Create(Vector256.WidenLower(Vector256.Load(at)), Vector256.WidenUpper(Vector256.Load(at)));

    static Vector256<int> Bytes(sbyte* at)
    {
        var shorts = Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(long*)at).AsSByte());
        return Vector256.Create(Vector128.WidenLower(shorts), Vector128.WidenUpper(shorts));
    }
}
