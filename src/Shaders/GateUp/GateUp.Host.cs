using System.Runtime.Intrinsics;

namespace Tessera.Shaders;

public static unsafe partial class GateUpOp
{
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        Tensor w = call.Tensors[W], x = call.Tensors[X], y = call.Tensors[Y];
        int tokens = call.Count(Count, a.Tokens), xStride = Rows.Stride(x.Type, a.Inner), yStride = Rows.Stride(y.Type, a.Ffn);
        byte** from = stackalloc byte*[Tile.Tokens], to = stackalloc byte*[Tile.Tokens];
        for (int unit = begin; unit < end; unit++)
            for (int t = 0; t < tokens; t += Tile.Tokens)
            {
                int count = Math.Min(Tile.Tokens, tokens - t);
                for (int i = 0; i < count; i++)
                {
                    from[i] = call.At<byte>(X) + (long)(t + i) * xStride;
                    to[i] = call.At<byte>(Y) + (long)(t + i) * yStride;
                }
                Block(w, unit, a.Ffn, x.Type, from, count, y.Type, to);
            }
    }

    /// <summary>A scale block, 32 columns, of up to <see cref="Tile.Tokens"/> rows: two panels of gate and two of up.</summary>
    internal static void Block(in Tensor w, int block, int ffn, DType xType, byte** from, int rows, DType yType, byte** to)
    {
        const int Sums = Tile.Tokens * Tile.Rows;
        float* gate = stackalloc float[Sums], up = stackalloc float[Sums], low = stackalloc float[Sums]; // (tokens, 16)
        Panel.Product(w, 4 * block, xType, from, rows, gate);
        Panel.Product(w, 4 * block + 1, xType, from, rows, up);
        for (int i = 0; i < rows * Tile.Rows; i += Tile.Rows)
            (Lanes.Silu(Vector512.Load(gate + i)) * Vector512.Load(up + i)).Store(low + i);
        bool whole = 2 * block + 1 < Tile.Panels(ffn); // the last block may be half a block
        if (whole)
        {
            Panel.Product(w, 4 * block + 2, xType, from, rows, gate);
            Panel.Product(w, 4 * block + 3, xType, from, rows, up);
        }
        for (int i = 0; i < rows; i++)
        {
            int at = i * Tile.Rows;
            var high = whole ? Lanes.Silu(Vector512.Load(gate + at)) * Vector512.Load(up + at) : Vector512<float>.Zero;
            Lanes.StoreBlock(to[i], yType, ffn, block, Vector512.Load(low + at), high);
        }
    }
}
