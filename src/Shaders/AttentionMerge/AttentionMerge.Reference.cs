namespace Tessera.Shaders;

public static unsafe partial class AttentionMergeOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        end = Math.Min(end, call.Count(Count, a.Tokens) * a.Heads);
        var scaleBlock = new float[32];
        for (int unit = begin; unit < end; unit++)
        {
            float* partials = call.At<float>(Partials) + (long)unit * a.Splits * (a.HeadDim + 2);
            int splits = call.At<int>(Positions)[unit / a.Heads] / AttentionOp.SplitTokens + 1;
            double largest = double.NegativeInfinity, total = 0;
            for (int s = 0; s < splits; s++) largest = Math.Max(largest, partials[s * (a.HeadDim + 2) + a.HeadDim]);
            for (int s = 0; s < splits; s++) total += partials[s * (a.HeadDim + 2) + a.HeadDim + 1] * Share(s);
            for (int d = 0; d < a.HeadDim; d++)
            {
                double sum = 0;
                for (int s = 0; s < splits; s++) sum += partials[s * (a.HeadDim + 2) + d] * Share(s);
                scaleBlock[d % 32] = (float)(sum / total);
                if (d % 32 == 31) Elements.StoreBlock(call.Tensors[Y], unit / a.Heads, (unit % a.Heads * a.HeadDim + d) / 32, scaleBlock);
            }

            double Share(int split) => Math.Exp(partials[split * (a.HeadDim + 2) + a.HeadDim] - largest);
        }
    }
}
