namespace Tessera.Shaders;

/// <summary>x[t,c] += Σ_i weights[t,i] · z[t · k + i, c], in the order of i: the experts' answers into the residual.</summary>
/// <remarks>z: F32 (tokens · k, dim) rows, by pair. weights: F32 (tokens, k) packed. x: F32 (tokens, dim) rows; columns past dim are left as they are. Moves 4 · tokens · (k + 2) · dim bytes.</remarks>
public static partial class CombineOp
{
    public readonly record struct Args(int Tokens, int Dim, int Active);

    public const int Z = 0, Weights = 1, X = 2, Count = 3;

    public static readonly Kernel Kernel = new()
    {
        Name = "Combine",
        Bindings = ["z:in", "weights:in", "x:inout", "count:in"],
        ArgBytes = 12,
        Units = call => call.Args<Args>().Tokens,
        Reference = Reference,
        Host = Host,
        Vulkan = Vulkan,
    };

    extension(IRecorder gpu)
    {
        public void Combine(Tensor z, Tensor weights, Tensor x, Tensor count)
        {
            Shape.Require("Combine", z.Cols == x.Cols && weights.RowCount == x.RowCount && z.RowCount == x.RowCount * weights.Cols && z.Type == DType.F32 && x.Type == DType.F32,
                "z f32 (tokens · k, dim), weights f32 (tokens, k), x f32 (tokens, dim)", z, weights, x);
            gpu.Launch(Kernel, new Args(x.RowCount, x.Cols, weights.Cols), z, weights, x, count);
        }
    }
}
