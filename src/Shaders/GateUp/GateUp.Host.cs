using System.Runtime.Intrinsics;

namespace Tessera.Shaders;

public static unsafe partial class GateUpOp
{
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        Tensor w = call.Tensors[W], x = call.Tensors[X], y = call.Tensors[Y];
        int tokens = call.Count(Count, a.Tokens), panels = Tile.Panels(a.Ffn), stride = Rows.Stride(y.Type, a.Ffn);
        const int Sums = Panel.Tokens * Tile.Rows;
        float* gate = stackalloc float[Sums], up = stackalloc float[Sums], low = stackalloc float[Sums]; // (tokens, 16)
        for (int unit = begin; unit < end; unit++)
            for (int t = 0; t < tokens; t += Panel.Tokens)
            {
                int some = Math.Min(Panel.Tokens, tokens - t);
                Panel.Product(w, 4 * unit, x, t, some, gate);
                Panel.Product(w, 4 * unit + 1, x, t, some, up);
                for (int i = 0; i < some * Tile.Rows; i += Tile.Rows)
                    (Lanes.Silu(Vector512.Load(gate + i)) * Vector512.Load(up + i)).Store(low + i);
                bool whole = 2 * unit + 1 < panels; // the last group may be half a group
                if (whole)
                {
                    Panel.Product(w, 4 * unit + 2, x, t, some, gate);
                    Panel.Product(w, 4 * unit + 3, x, t, some, up);
                }
                for (int i = 0; i < some; i++)
                {
                    int at = i * Tile.Rows;
                    var high = whole ? Lanes.Silu(Vector512.Load(gate + at)) * Vector512.Load(up + at) : Vector512<float>.Zero;
                    Lanes.StoreGroup(call.At<byte>(Y) + (long)(t + i) * stride, y.Type, a.Ffn, unit, Vector512.Load(low + at), high);
                }
            }
    }
}
