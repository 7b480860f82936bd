namespace Tessera.Shaders;

public static unsafe partial class ExpertDownOp
{
    static void Canonical(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        int* order = call.At<int>(Order), offsets = call.At<int>(Groups);
        int panels = Tile.Panels(a.Outer);
        for (int unit = begin; unit < end; unit++)
        {
            var w = call.Tensors[W].Expert(unit / panels);
            for (int place = offsets[unit / panels]; place < offsets[unit / panels + 1]; place++)
                for (int n = unit % panels * Tile.Rows; n < Math.Min((unit % panels + 1) * Tile.Rows, a.Outer); n++)
                    call.At<float>(Y)[(long)order[place] * Tile.Pad(a.Outer) + n] = Panel.Canonical(w, n, call.Tensors[X], place);
        }
    }
}
