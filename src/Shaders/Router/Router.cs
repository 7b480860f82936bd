namespace Tessera.Shaders;

/// <summary>Norms a row as <see cref="RmsNormOp"/> does and chooses its experts: p = softmax_e(Σ_c y[t,c] · w[e,c]), the k largest, ties by lower id.</summary>
/// <remarks>
/// x: F32 (tokens, dim) rows. norm: F32 (1, dim) packed. w: F32 (experts, dim) panels. y: F32, A16 or A8 (tokens, dim) rows, what the experts read; the choice
/// itself is made in F32.
/// logits: F32 (tokens, experts) packed: Σ_c y[t,c] · w[e,c], so that many workgroups, or an op behind this one, may share the choice.
/// chosen: I32 (tokens, k) packed, most probable first. shares: F32 (tokens, k) packed: their p, divided by the sum of the k where that is asked for.
/// </remarks>
public static partial class RouterOp
{
    public readonly record struct Args(int Tokens, int Dim, int Experts, int PerToken, int Renormalise, float Eps);

    public const int X = 0, Norm = 1, W = 2, Y = 3, Logits = 4, Chosen = 5, Shares = 6, Count = 7;

    public const int MaxExperts = 512, MaxPerToken = 64;

    public static readonly Kernel Kernel = new()
    {
        Name = "Router",
        Bindings = ["x:in", "norm:in", "w:in", "y:out", "logits:out", "chosen:out", "shares:out", "count:in"],
        Activations = [Y],
        ArgBytes = 24,
        Units = call => call.Args<Args>().Tokens,
        Bytes = Moved,
        Flops = (call, work) => 2.0 * Math.Min(work.Rows, call.Args<Args>().Tokens) * call.Args<Args>().Dim * call.Args<Args>().Experts,
        Reference = Reference,
        Host = Host,
        Vulkan = Vulkan,
    };

    static double Moved(Call call, Workload work) =>
        call.Tensors[W].Bytes + call.Tensors[Norm].Bytes + call.RowBytes(X, work.Rows) + call.RowBytes(Y, work.Rows)
        + Math.Min(work.Rows, call.Args<Args>().Tokens) * (4.0 * call.Args<Args>().Experts + 8.0 * call.Args<Args>().PerToken);

    extension(IRecorder gpu)
    {
        public void Router(Tensor x, Tensor norm, Tensor w, Tensor y, Tensor logits, Tensor chosen, Tensor shares, float eps, bool renormalise, Tensor count)
        {
            Shape.Require("Router", x.Cols == norm.Cols && w.Cols == x.Cols && y.Cols == x.Cols && y.RowCount == x.RowCount && x.Type == DType.F32
                && w.Type == DType.F32 && Rows.Store(y.Type)
                && w.RowCount <= MaxExperts && logits.RowCount == x.RowCount && logits.Cols == w.RowCount && logits.Type == DType.F32
                && chosen.RowCount == x.RowCount && shares.RowCount == x.RowCount && chosen.Cols == shares.Cols
                && chosen.Cols <= Math.Min(w.RowCount, MaxPerToken),
                "x f32 (tokens, dim), norm f32 (1, dim), w f32 (experts, dim), y f32, f16 or a8 (tokens, dim), logits f32 (tokens, experts), "
                + "chosen i32 and shares f32 (tokens, k)", x, norm, w, y, logits, chosen, shares);
            gpu.Launch(Kernel, new Args(x.RowCount, x.Cols, w.RowCount, chosen.Cols, renormalise ? 1 : 0, eps), x, norm, w, y, logits, chosen, shares, count);
        }
    }
}
