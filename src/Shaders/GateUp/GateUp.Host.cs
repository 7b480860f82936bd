using System.Runtime.Intrinsics;

namespace Tessera.Shaders;

public static unsafe partial class GateUpOp
{
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        Tensor w = call.Tensors[W], x = call.Tensors[X], y = call.Tensors[Y];
        int tokens = call.Count(Count, a.Tokens), xStride = Rows.Stride(x.Type, a.Inner), yStride = Rows.Stride(y.Type, a.Ffn);
        byte** from = stackalloc byte*[Panel.Tokens], to = stackalloc byte*[Panel.Tokens];
        for (int unit = begin; unit < end; unit++)
            for (int t = 0; t < tokens; t += Panel.Tokens)
            {
                int some = Math.Min(Panel.Tokens, tokens - t);
                for (int i = 0; i < some; i++)
                {
                    from[i] = call.At<byte>(X) + (long)(t + i) * xStride;
                    to[i] = call.At<byte>(Y) + (long)(t + i) * yStride;
                }
                Group(w, unit, a.Ffn, x.Type, from, some, y.Type, to);
            }
    }

    /// <summary>32 columns of a few rows: two panels of gate and two of up.</summary>
    internal static void Group(in Tensor w, int group, int ffn, DType xType, byte** from, int some, DType yType, byte** to)
    {
        const int Sums = Panel.Tokens * Tile.Rows;
        float* gate = stackalloc float[Sums], up = stackalloc float[Sums], low = stackalloc float[Sums]; // (tokens, 16)
        Panel.Product(w, 4 * group, xType, from, some, gate);
        Panel.Product(w, 4 * group + 1, xType, from, some, up);
        for (int i = 0; i < some * Tile.Rows; i += Tile.Rows)
            (Lanes.Silu(Vector512.Load(gate + i)) * Vector512.Load(up + i)).Store(low + i);
        bool whole = 2 * group + 1 < Tile.Panels(ffn); // the last group may be half a group
        if (whole)
        {
            Panel.Product(w, 4 * group + 2, xType, from, some, gate);
            Panel.Product(w, 4 * group + 3, xType, from, some, up);
        }
        for (int i = 0; i < some; i++)
        {
            int at = i * Tile.Rows;
            var high = whole ? Lanes.Silu(Vector512.Load(gate + at)) * Vector512.Load(up + at) : Vector512<float>.Zero;
            Lanes.StoreGroup(to[i], yType, ffn, group, Vector512.Load(low + at), high);
        }
    }
}
