namespace Tessera.Shaders;

public static unsafe partial class AttentionOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        int tokens = call.Count(Count, a.Tokens);
        var sum = new double[a.HeadDim];
        var scaleBlock = new float[32];
        DType type = call.Tensors[Keys].Type;
        for (int unit = begin; unit < end; unit++)
            for (int t = unit / a.KvHeads * TileTokens; t < Math.Min(tokens, unit / a.KvHeads * TileTokens + TileTokens); t++)
                for (int head = unit % a.KvHeads * (a.Heads / a.KvHeads); head < (unit % a.KvHeads + 1) * (a.Heads / a.KvHeads); head++)
                {
                    float* q = call.At<float>(Q) + (long)t * Tile.Pad(a.QCols) + head * a.HeadDim;
                    int length = call.At<int>(Positions)[t] + 1;
                    var scores = new double[length];
                    for (int j = 0; j < length; j++)
                    {
                        byte* block = BlockOf(call, Keys, t, head, j);
                        for (int d = 0; d < a.HeadDim; d++)
                            scores[j] += (double)q[d] * KvBlock.ReadKey(block, type, a.HeadDim, j % KvBlock.Tokens, d) * a.Scale;
                    }
                    double largest = scores.Max(), total = 0;
                    Array.Clear(sum);
                    for (int j = 0; j < length; j++)
                    {
                        double p = Math.Exp(scores[j] - largest);
                        total += p;
                        byte* block = BlockOf(call, Values, t, head, j);
                        for (int d = 0; d < a.HeadDim; d++) sum[d] += p * KvBlock.ReadValue(block, type, a.HeadDim, j % KvBlock.Tokens, d);
                    }
                    for (int d = 0; d < a.HeadDim; d++)
                    {
                        scaleBlock[d % 32] = (float)(sum[d] / total);
                        if (d % 32 == 31) Elements.StoreBlock(call.Tensors[Y], t, (head * a.HeadDim + d) / 32, scaleBlock);
                    }
                }
    }

    static byte* BlockOf(Call call, int binding, int token, int head, int position)
    {
        var a = call.Args<Args>();
        int block = call.At<int>(Blocks)[call.At<int>(Sequences)[token] * a.MaxBlocks + position / KvBlock.Tokens];
        return call.At<byte>(binding) + KvBlock.Offset(call.Tensors[binding].Type, a.KvHeads, a.HeadDim, block, head / (a.Heads / a.KvHeads));
    }
}
