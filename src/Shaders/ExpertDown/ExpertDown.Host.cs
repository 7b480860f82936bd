namespace Tessera.Shaders;

public static unsafe partial class ExpertDownOp
{
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        Tensor x = call.Tensors[X];
        int* order = call.At<int>(Order), offsets = call.At<int>(Groups);
        int panels = Tile.Panels(a.Outer);
        float* sums = stackalloc float[Tile.Tokens * Tile.Rows]; // (tokens, 16)
        for (int unit = begin; unit < end; unit++)
        {
            int expert = unit / panels, row = unit % panels * Tile.Rows, last = offsets[expert + 1];
            if (offsets[expert] == last)
            {
                unit = (expert + 1) * panels - 1; // nobody chose it
                continue;
            }
            var w = call.Tensors[W].Expert(expert);
            for (int place = offsets[expert]; place < last; place += Tile.Tokens)
            {
                int places = Math.Min(Tile.Tokens, last - place);
                Panel.Product(w, unit % panels, x, place, places, sums);
                for (int i = 0; i < places; i++)
                {
                    float* y = call.At<float>(Y) + (long)order[place + i] * Tile.Pad(a.Outer) + row;
                    new Span<float>(sums + i * Tile.Rows, Math.Min(Tile.Rows, a.Outer - row)).CopyTo(new Span<float>(y, Tile.Rows));
                }
            }
        }
    }
}
