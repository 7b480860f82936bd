namespace Tessera.Shaders;

public static unsafe partial class ExpertGateUpOp
{
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        Tensor x = call.Tensors[X], y = call.Tensors[Y];
        int* order = call.At<int>(Order), offsets = call.At<int>(Groups);
        int groups = Tile.Tiles(a.Ffn), xStride = Rows.Stride(x.Type, a.Inner), yStride = Rows.Stride(y.Type, a.Ffn);
        byte** from = stackalloc byte*[Panel.Tokens], to = stackalloc byte*[Panel.Tokens];
        for (int unit = begin; unit < end; unit++)
        {
            int expert = unit / groups, last = offsets[expert + 1];
            if (offsets[expert] == last)
            {
                unit = (expert + 1) * groups - 1; // nobody chose it
                continue;
            }
            var w = call.Tensors[W].Expert(expert);
            for (int place = offsets[expert]; place < last; place += Panel.Tokens)
            {
                int some = Math.Min(Panel.Tokens, last - place);
                for (int i = 0; i < some; i++)
                {
                    from[i] = call.At<byte>(X) + (long)(order[place + i] / a.Active) * xStride;
                    to[i] = call.At<byte>(Y) + (long)(place + i) * yStride;
                }
                GateUpOp.Group(w, unit % groups, a.Ffn, x.Type, from, some, y.Type, to);
            }
        }
    }
}
