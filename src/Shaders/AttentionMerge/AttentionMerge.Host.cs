using System.Runtime.CompilerServices;

namespace Tessera.Shaders;

public static unsafe partial class AttentionMergeOp
{
    [SkipLocalsInit]
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        end = Math.Min(end, call.Count(Count, a.Tokens) * a.Heads);
        float* sum = stackalloc float[a.HeadDim];
        for (int unit = begin; unit < end; unit++)
        {
            float* partial = call.At<float>(Partials) + (long)unit * a.Splits * (a.HeadDim + 2);
            int splits = call.At<int>(Positions)[unit / a.Heads] / AttentionOp.SplitTokens + 1;
            Unsafe.CopyBlockUnaligned(sum, partial, (uint)a.HeadDim * sizeof(float));
            float largest = partial[a.HeadDim], total = partial[a.HeadDim + 1];
            for (int s = 1; s < splits; s++)
            {
                partial += a.HeadDim + 2;
                AttentionOp.Merge(ref largest, ref total, sum, partial[a.HeadDim], partial[a.HeadDim + 1], partial, a.HeadDim);
            }
            AttentionOp.StoreRow(call.Tensors[Y], unit / a.Heads, unit % a.Heads, sum, total, a.HeadDim);
        }
    }
}
