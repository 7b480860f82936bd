namespace Tessera.Shaders;

public static unsafe partial class ExpertGateUpOp
{
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        Tensor x = call.Tensors[X], y = call.Tensors[Y];
        int* order = call.At<int>(Order), offsets = call.At<int>(Groups);
        int blocks = Tile.Tiles(a.Ffn), xStride = Rows.Stride(x.Type, a.Inner), yStride = Rows.Stride(y.Type, a.Ffn);
        byte** from = stackalloc byte*[Tile.Tokens], to = stackalloc byte*[Tile.Tokens];
        for (int unit = begin; unit < end; unit++)
        {
            int expert = unit / blocks, last = offsets[expert + 1];
            if (offsets[expert] == last)
            {
                unit = (expert + 1) * blocks - 1; // nobody chose it
                continue;
            }
            var w = call.Tensors[W].Expert(expert);
            for (int place = offsets[expert]; place < last; place += Tile.Tokens)
            {
                int places = Math.Min(Tile.Tokens, last - place);
                for (int i = 0; i < places; i++)
                {
                    from[i] = call.At<byte>(X) + (long)(order[place + i] / a.PerToken) * xStride;
                    to[i] = call.At<byte>(Y) + (long)(place + i) * yStride;
                }
                GateUpOp.Block(w, unit % blocks, a.Ffn, x.Type, from, places, y.Type, to);
            }
        }
    }
}
