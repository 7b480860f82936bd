namespace Tessera.Shaders;

public static unsafe partial class GatherOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        int padded = Tile.Pad(a.Dim);
        end = Math.Min(end, call.Count(Count, a.Wanted));
        for (int s = begin; s < end; s++)
            new ReadOnlySpan<float>(call.At<float>(X) + (long)call.At<int>(RowIds)[s] * padded, padded)
                .CopyTo(new Span<float>(call.At<float>(Y) + (long)s * padded, padded));
    }
}
