namespace Tessera.Shaders;

/// <summary>The product by each expert for the rows that chose it: y[order[i], n] = Σ_k x[i, k] · w_e[n, k] for the places i of expert e.</summary>
/// <remarks>w: the matrices of all experts, each (outer, inner) panels. x: F32, A16 or A8 (tokens · k, inner) rows, in the order of order. order, groups: see
/// <see cref="GroupOp"/>. y: F32 (tokens · k, outer) rows, by pair. The sums are those of <see cref="MatMulOp"/>.</remarks>
public static partial class ExpertDownOp
{
    public readonly record struct Args(int Pairs, int Experts, int Outer, int Inner);

    public const int W = 0, X = 1, Order = 2, Groups = 3, Y = 4;

    public static readonly Kernel Kernel = new()
    {
        Name = "ExpertDown",
        Bindings = ["w:in", "x:in", "order:in", "groups:in", "y:out"],
        Activations = [X],
        ArgBytes = 16,
        Units = call => call.Args<Args>().Experts * Tile.Panels(call.Args<Args>().Outer),
        Bytes = Moved,
        Flops = (call, work) => 2.0 * Math.Min((long)work.Rows * work.PerToken, call.Args<Args>().Pairs) * call.Args<Args>().Outer * call.Args<Args>().Inner,
        Reference = Reference,
        Host = Host,
        Canonical = Canonical,
        Vulkan = Vulkan,
    };

    /// <summary>The matrices of the experts that are chosen, the rows of their pairs in and out.</summary>
    static double Moved(Call call, Workload work)
    {
        long pairs = (long)work.Rows * work.PerToken;
        return work.DistinctExperts(call.Args<Args>().Experts) * call.Tensors[W].Expert(0).Bytes + call.RowBytes(X, pairs) + call.RowBytes(Y, pairs);
    }

    extension(IRecorder gpu)
    {
        public void ExpertDown(Tensor w, Tensor x, Tensor order, Tensor groups, Tensor y)
        {
            int experts = (int)(w.Bytes / Tile.Bytes(w.Type, w.RowCount, w.Cols));
            Shape.Require("ExpertDown", x.Cols == w.Cols && y.Cols == w.RowCount && y.RowCount == x.RowCount && order.Cols == x.RowCount && y.Type == DType.F32
                && groups.Cols > experts + 1
                && Panel.Multiplies(w.Type, x.Type),
                "w (outer, inner) for each expert, x f32, f16 or a8 (tokens · k, inner), order (1, tokens · k), groups, y f32 (tokens · k, outer)", w, x, order,
                groups, y);
            gpu.Launch(Kernel, new Args(x.RowCount, experts, w.RowCount, w.Cols), w, x, order, groups, y);
        }
    }
}
