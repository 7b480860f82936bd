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
                float scale = type == DType.Q8 ? (float)*(Half*)(scales + Tile.ScaleOffset(a.Dim, id, k)) : 1;
                (Decode(type, (byte*)block, 0) * scale).Store(x + k);
                (Decode(type, (byte*)block, 16) * scale).Store(x + k + 16);
            }
        }
    }

    /// <summary>16 consecutive elements from element <paramref name="at"/> on.</summary>
    static Vector512<float> Decode(DType type, byte* block, int at) => type switch
    {
        DType.F32 => Vector512.Load((float*)block + at),
        DType.BF16 => (Wide((short*)block + at) << 16).AsSingle(),
        DType.F16 => Lanes.Halves(block + at * 2),
        _ => Vector512.ConvertToSingle(Vector512.Create(Bytes((sbyte*)block + at), Bytes((sbyte*)block + at + 8))),
    };

    static Vector512<int> Wide(short* at) => Vector512.Create(Vector256.WidenLower(Vector256.Load(at)), Vector256.WidenUpper(Vector256.Load(at)));

    static Vector256<int> Bytes(sbyte* at)
    {
        var shorts = Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(long*)at).AsSByte());
        return Vector256.Create(Vector128.WidenLower(shorts), Vector128.WidenUpper(shorts));
    }
}
