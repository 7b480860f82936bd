namespace Tessera.Shaders;

public static unsafe partial class ExpertGateUpOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        Tensor x = call.Tensors[X], y = call.Tensors[Y];
        int* order = call.At<int>(Order), offsets = call.At<int>(Groups);
        int groups = Tile.Tiles(a.Ffn);
        var group = new float[32];
        for (int unit = begin; unit < end; unit++)
        {
            var w = call.Tensors[W].Expert(unit / groups);
            for (int place = offsets[unit / groups]; place < offsets[unit / groups + 1]; place++)
            {
                Array.Clear(group);
                int from = unit % groups * 32;
                for (int n = from; n < Math.Min(from + 32, a.Ffn); n++)
                {
                    double gate = 0, up = 0;
                    for (int k = 0; k < a.Inner; k++)
                    {
                        double v = Elements.Activation(x, order[place] / a.Active, k);
                        gate += v * Elements.Weight(w, GateUpOp.GateRow(n), k);
                        up += v * Elements.Weight(w, GateUpOp.GateRow(n) + Tile.Rows, k);
                    }
                    group[n - from] = (float)(gate / (1 + Math.Exp(-gate)) * up);
                }
                Elements.StoreGroup(y, place, unit % groups, group);
            }
        }
    }
}
