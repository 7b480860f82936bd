namespace Tessera.Shaders;

public static unsafe partial class ExpertGateUpOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        Tensor x = call.Tensors[X], y = call.Tensors[Y];
        int* order = call.At<int>(Order), offsets = call.At<int>(Groups);
        int blocks = Tile.Tiles(a.Ffn);
        var block = new float[32];
        for (int unit = begin; unit < end; unit++)
        {
            var w = call.Tensors[W].Expert(unit / blocks);
            for (int place = offsets[unit / blocks]; place < offsets[unit / blocks + 1]; place++)
            {
                Array.Clear(block);
                int from = unit % blocks * 32;
                for (int n = from; n < Math.Min(from + 32, a.Ffn); n++)
                {
                    double gate = 0, up = 0;
                    for (int k = 0; k < a.Inner; k++)
                    {
                        double v = Elements.Activation(x, order[place] / a.PerToken, k);
                        gate += v * Elements.Weight(w, GateUpOp.GateRow(n), k);
                        up += v * Elements.Weight(w, GateUpOp.GateRow(n) + Tile.Rows, k);
                    }
                    block[n - from] = (float)(gate / (1 + Math.Exp(-gate)) * up);
                }
                Elements.StoreBlock(y, place, unit % blocks, block);
            }
        }
    }
}
