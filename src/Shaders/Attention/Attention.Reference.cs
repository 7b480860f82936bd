namespace Tessera.Shaders;

public static unsafe partial class AttentionOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        int tokens = call.Count(Count, a.Tokens), splits = Math.Max(1, a.Splits), group = a.Heads / a.KvHeads;
        var scaleBlock = new float[32];
        for (int unit = begin; unit < end; unit++)
        {
            int tile = unit / splits / a.KvHeads * TileTokens, kvHead = unit / splits % a.KvHeads, split = unit % splits;
            for (int t = tile; t < Math.Min(tokens, tile + TileTokens); t++)
                for (int head = kvHead * group; head < (kvHead + 1) * group; head++)
                {
                    int first = split * SplitTokens, length = call.At<int>(Positions)[t] + 1;
                    int last = a.Splits > 0 ? Math.Min(length, first + SplitTokens) : length;
                    if (first >= last) continue;
                    var (largest, total, sum) = Partial(call, t, head, first, last);
                    if (a.Splits > 0)
                    {
                        float* to = call.At<float>(Y) + (((long)t * a.Heads + head) * splits + split) * (a.HeadDim + 2);
                        for (int d = 0; d < a.HeadDim; d++) to[d] = (float)sum[d];
                        (to[a.HeadDim], to[a.HeadDim + 1]) = ((float)largest, (float)total);
                        continue;
                    }
                    for (int d = 0; d < a.HeadDim; d++)
                    {
                        scaleBlock[d % 32] = (float)(sum[d] / total);
                        if (d % 32 == 31) Elements.StoreBlock(call.Tensors[Y], t, (head * a.HeadDim + d) / 32, scaleBlock);
                    }
                }
        }
    }

    /// <summary>Of the positions [first, last): the largest score, the sum of weights relative to it, and the values' sum by these, (headDim).</summary>
    static (double Largest, double Total, double[] Sum) Partial(Call call, int token, int head, int first, int last)
    {
        var a = call.Args<Args>();
        DType type = call.Tensors[Keys].Type;
        float* q = call.At<float>(Q) + (long)token * Tile.Pad(a.QCols) + head * a.HeadDim;
        double[] scores = new double[last - first], sum = new double[a.HeadDim];
        for (int j = first; j < last; j++)
        {
            byte* block = BlockOf(call, Keys, token, head, j);
            for (int d = 0; d < a.HeadDim; d++)
                scores[j - first] += (double)q[d] * KvBlock.ReadKey(block, type, a.HeadDim, j % KvBlock.Tokens, d) * a.Scale;
        }
        double largest = scores.Max(), total = 0;
        for (int j = first; j < last; j++)
        {
            double p = Math.Exp(scores[j - first] - largest);
            total += p;
            byte* block = BlockOf(call, Values, token, head, j);
            for (int d = 0; d < a.HeadDim; d++) sum[d] += p * KvBlock.ReadValue(block, type, a.HeadDim, j % KvBlock.Tokens, d);
        }
        return (largest, total, sum);
    }

    static byte* BlockOf(Call call, int binding, int token, int head, int position)
    {
        var a = call.Args<Args>();
        int block = call.At<int>(Blocks)[call.At<int>(Sequences)[token] * a.MaxBlocks + position / KvBlock.Tokens];
        return call.At<byte>(binding) + KvBlock.Offset(call.Tensors[binding].Type, a.KvHeads, a.HeadDim, block, head / (a.Heads / a.KvHeads));
    }
}
