namespace Tessera.Shaders;

public static unsafe partial class EmbedOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        Tensor table = call.Tensors[Table];
        int padded = Tile.Pad(a.Dim);
        end = Math.Min(end, call.Count(Count, a.Tokens));
        for (int t = begin; t < end; t++)
        {
            int id = call.At<int>(Ids)[t];
            float* x = call.At<float>(X) + (long)t * padded;
            for (int c = 0; c < padded; c++)
                x[c] = c < a.Dim && (uint)id < (uint)a.Vocabulary ? Elements.Weight(table, id, c) : 0;
        }
    }
}
