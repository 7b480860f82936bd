namespace Tessera.Shaders;

public static unsafe partial class GroupOp
{
    static void Reference(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        int pairs = call.Count(Count, a.Tokens) * a.PerToken;
        int* chosen = call.At<int>(Chosen), order = call.At<int>(Order), offsets = call.At<int>(Groups), tiles = offsets + a.Experts + 1;
        new Span<int>(offsets, a.Experts + 1).Clear();
        for (int p = 0; p < pairs; p++) offsets[chosen[p] + 1]++;
        for (int e = 0; e < a.Experts; e++) offsets[e + 1] += offsets[e];
        Span<int> next = stackalloc int[RouterOp.MaxExperts];
        new Span<int>(offsets, a.Experts).CopyTo(next);
        for (int p = 0; p < pairs; p++) order[next[chosen[p]]++] = p;
        tiles[0] = 0;
        for (int e = 0; e < a.Experts; e++)
            for (int first = offsets[e]; first < offsets[e + 1]; first += a.TileRows)
            {
                int* tile = tiles + 1 + 3 * tiles[0]++;
                (tile[0], tile[1], tile[2]) = (e, first, Math.Min(a.TileRows, offsets[e + 1] - first));
            }
    }
}
