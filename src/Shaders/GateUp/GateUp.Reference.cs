namespace Tessera.Shaders;

public static unsafe partial class GateUpOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        Tensor w = call.Tensors[W], x = call.Tensors[X], y = call.Tensors[Y];
        int tokens = call.Count(Count, a.Tokens);
        var block = new float[32];
        for (int t = 0; t < tokens; t++)
            for (int unit = begin; unit < end; unit++)
            {
                Array.Clear(block);
                for (int n = unit * 32; n < Math.Min(unit * 32 + 32, a.Ffn); n++)
                {
                    double gate = 0, up = 0;
                    for (int k = 0; k < a.Inner; k++)
                    {
                        double v = Elements.Activation(x, t, k);
                        gate += v * Elements.Weight(w, GateRow(n), k);
                        up += v * Elements.Weight(w, GateRow(n) + Tile.Rows, k);
                    }
                    block[n % 32] = (float)(gate / (1 + Math.Exp(-gate)) * up);
                }
                Elements.StoreBlock(y, t, unit, block);
            }
    }
}
