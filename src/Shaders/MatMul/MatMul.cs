namespace Tessera.Shaders;

/// <summary>y[t,n] = Σ_k x[t,k] · w[n,k] + bias[n], or the same added to y (the residual).</summary>
/// <remarks>
/// x: F32, A16 or A8 (tokens, inner) rows. w: a type of weights (outer, inner) panels; A8 goes with quantised ones only, A16 with those of 16 bits.
/// bias: F32 (outer) packed, or none.
/// y: F32 (tokens, outer) rows; columns past outer are left as they are. count: I32, the tokens that are real, or none.
/// Per row and token the order of sums is fixed by the weight, so it does not depend on the other tokens. With A8 it is the same on every device: that of
/// <see cref="Panel.Canonical"/>, to which y + bias is added, rounded before.
/// Moves the bytes of w once per call plus x and y; 2 · tokens · outer · inner flops.
/// </remarks>
public static partial class MatMulOp
{
    public readonly record struct Args(int Tokens, int Outer, int Inner, int Add);

    public const int W = 0, X = 1, Y = 2, Bias = 3, Count = 4;

    public static readonly Kernel Kernel = new()
    {
        Name = "MatMul",
        Bindings = ["w:in", "x:in", "y:inout", "bias:in", "count:in"],
        Activations = [X],
        ArgBytes = 16,
        Units = call => Tile.Panels(call.Args<Args>().Outer),
        Bytes = (call, work) => call.Tensors[W].Bytes + call.Tensors[Bias].Bytes
            + call.RowBytes(X, work.Rows) + call.RowBytes(Y, work.Rows) * (1 + call.Args<Args>().Add),
        Flops = (call, work) => 2.0 * Math.Min(work.Rows, call.Args<Args>().Tokens) * call.Args<Args>().Outer * call.Args<Args>().Inner,
        Reference = Reference,
        Host = Host,
        Canonical = Canonical,
        Vulkan = Vulkan,
    };

    extension(IRecorder gpu)
    {
        /// <summary>y = w · x + bias</summary>
        public void MatMul(Tensor w, Tensor x, Tensor y, Tensor bias, Tensor count) => Launch(gpu, w, x, y, bias, count, add: 0);

        /// <summary>y += w · x + bias</summary>
        public void MatMulAdd(Tensor w, Tensor x, Tensor y, Tensor bias, Tensor count) => Launch(gpu, w, x, y, bias, count, add: 1);
    }

    static void Launch(IRecorder gpu, Tensor w, Tensor x, Tensor y, Tensor bias, Tensor count, int add)
    {
        Shape.Require("MatMul", x.Cols == w.Cols && y.Cols == w.RowCount && y.RowCount == x.RowCount && y.Type == DType.F32
            && Panel.Multiplies(w.Type, x.Type) && (bias.IsNone || bias.Cols == w.RowCount),
            "w (outer, inner), x f32, f16 or a8 (tokens, inner), y f32 (tokens, outer), bias (1, outer)", w, x, y, bias);
        gpu.Launch(Kernel, new Args(x.RowCount, w.RowCount, w.Cols, add), w, x, y, bias, count);
    }
}
