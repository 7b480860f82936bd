namespace Tessera.Shaders;

/// <summary>y[t,c] = x[t,c] / sqrt(mean_c(x[t,c]²) + eps) · w[c], quantised where y is A8.</summary>
/// <remarks>x: F32 (tokens, dim) rows. w: F32 (1, dim) packed. y: F32, A16 or A8 (tokens, dim) rows, padding included. Moves 4 · tokens · dim bytes in and the
/// bytes of y out. Formula: Zhang and Sennrich 2019, as T5 and Qwen3 use it.</remarks>
public static partial class RmsNormOp
{
    public readonly record struct Args(int Tokens, int Dim, float Eps);

    public const int X = 0, W = 1, Y = 2, Count = 3;

    public static readonly Kernel Kernel = new()
    {
        Name = "RmsNorm",
        Bindings = ["x:in", "w:in", "y:out", "count:in"],
        Activations = [Y],
        ArgBytes = 12,
        Units = call => call.Args<Args>().Tokens,
        Bytes = (call, work) => call.RowBytes(X, work.Rows) + call.Tensors[W].Bytes + call.RowBytes(Y, work.Rows),
        Reference = Reference,
        Host = Host,
        Vulkan = Vulkan,
    };

    extension(IRecorder gpu)
    {
        public void RmsNorm(Tensor x, Tensor w, Tensor y, float eps, Tensor count)
        {
            Shape.Require("RmsNorm", x.Cols == w.Cols && y.Cols == x.Cols && y.RowCount == x.RowCount && x.Type == DType.F32 && Rows.Store(y.Type),
                "x f32 (tokens, dim), w f32 (1, dim), y f32, f16 or a8 (tokens, dim)", x, w, y);
            gpu.Launch(Kernel, new Args(x.RowCount, x.Cols, eps), x, w, y, count);
        }
    }
}
