namespace Tessera.Shaders;

/// <summary>y[t,h] = o / l of the partials of a token's splits, merged in ascending order as <see cref="AttentionOp"/> says.</summary>
/// <remarks>
/// partials: F32 (tokens · heads · splits, headDim + 2) packed: o, m, l of each split; those behind a token's own are not read.
/// positions: I32 (1, tokens) packed. y: F32, A16 or A8 (tokens, heads · headDim) rows. Moves the partials once.
/// </remarks>
public static partial class AttentionMergeOp
{
    public readonly record struct Args(int Tokens, int Heads, int HeadDim, int Splits);

    public const int Partials = 0, Positions = 1, Y = 2, Count = 3;

    public static readonly Kernel Kernel = new()
    {
        Name = "AttentionMerge",
        Bindings = ["partials:in", "positions:in", "y:out", "count:in"],
        Activations = [Y],
        ArgBytes = 16,
        Units = call => call.Args<Args>().Tokens * call.Args<Args>().Heads,
        Bytes = Moved,
        Reference = Reference,
        Host = Host,
        Vulkan = Vulkan,
    };

    static double Moved(Call call, Workload work)
    {
        var a = call.Args<Args>();
        double rows = Math.Min(work.Rows, a.Tokens), splits = Math.Min(rows * a.Splits, (double)work.Pairs / AttentionOp.SplitTokens + rows);
        return splits * a.Heads * (a.HeadDim + 2) * 4.0 + call.RowBytes(Y, work.Rows);
    }

    extension(IRecorder gpu)
    {
        public void AttentionMerge(Tensor partials, Tensor positions, Tensor y, int heads, Tensor count)
        {
            int headDim = partials.Cols - 2, splits = partials.RowCount / Math.Max(1, y.RowCount * heads);
            Shape.Require("AttentionMerge", headDim > 0 && headDim % 32 == 0 && y.Cols == heads * headDim && positions.Cols == y.RowCount
                && partials.RowCount == y.RowCount * heads * splits && partials.Type == DType.F32 && Rows.Store(y.Type),
                "partials f32 (tokens · heads · splits, headDim + 2), positions (1, tokens), y (tokens, heads · headDim)", partials, positions, y);
            gpu.Launch(Kernel, new Args(y.RowCount, heads, headDim, splits), partials, positions, y, count);
        }
    }
}
