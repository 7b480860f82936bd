namespace Tessera.Shaders;

/// <summary><see cref="GateUpOp"/> by each expert for the rows that chose it: y[i] = GateUp_e(x[order[i] / k]) for the places i of expert e.</summary>
/// <remarks>w: the joined matrices of all experts, each (2 · 16 · panels(ffn), inner) panels. x: F32, A16 or A8 (tokens, inner) rows. order, groups: see
/// <see cref="GroupOp"/>. y: F32, A16 or A8 (tokens · k, ffn) rows, in the order of order.</remarks>
public static partial class ExpertGateUpOp
{
    public readonly record struct Args(int Tokens, int PerToken, int Experts, int Ffn, int Inner);

    public const int W = 0, X = 1, Order = 2, Groups = 3, Y = 4;

    public static readonly Kernel Kernel = new()
    {
        Name = "ExpertGateUp",
        Bindings = ["w:in", "x:in", "order:in", "groups:in", "y:out"],
        Activations = [X, Y],
        ArgBytes = 20,
        Units = call => call.Args<Args>().Experts * Tile.Tiles(call.Args<Args>().Ffn),
        Bytes = Moved,
        Flops = (call, work) => 4.0 * Math.Min(work.Rows, call.Args<Args>().Tokens) * call.Args<Args>().PerToken
            * call.Args<Args>().Ffn * call.Args<Args>().Inner,
        Reference = Reference,
        Host = Host,
        Vulkan = Vulkan,
    };

    /// <summary>The matrices of the experts that are chosen, rows in, the rows of their pairs out.</summary>
    static double Moved(Call call, Workload work)
    {
        var a = call.Args<Args>();
        var real = work with { Rows = Math.Min(work.Rows, a.Tokens), PerToken = a.PerToken };
        return real.DistinctExperts(a.Experts) * call.Tensors[W].Expert(0).Bytes + call.RowBytes(X, real.Rows) + call.RowBytes(Y, (long)real.Rows * a.PerToken);
    }

    extension(IRecorder gpu)
    {
        public void ExpertGateUp(Tensor w, Tensor x, Tensor order, Tensor groups, Tensor y)
        {
            int perToken = order.Cols / x.RowCount, experts = (int)(w.Bytes / Tile.Bytes(w.Type, w.RowCount, w.Cols));
            Shape.Require("ExpertGateUp", w.RowCount == GateUpOp.JoinedRows(y.Cols) && x.Cols == w.Cols && y.RowCount == order.Cols
                && order.Cols == x.RowCount * perToken && Rows.Store(y.Type)
                && groups.Cols == GroupOp.Size(order.Cols, experts) && Panel.Multiplies(w.Type, x.Type),
                "w (2 · 16 · panels(ffn), inner) for each expert, x f32, f16 or a8 (tokens, inner), order (1, tokens · k), groups, "
                + "y f32, f16 or a8 (tokens · k, ffn)", w, x, order, groups, y);
            gpu.Launch(Kernel, new Args(x.RowCount, perToken, experts, y.Cols, w.Cols), w, x, order, groups, y);
        }
    }
}
