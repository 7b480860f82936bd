namespace Tessera.Shaders;

/// <summary>x[t,c] += Σ_i shares[t,i] · z[t · k + i, c], in the order of i: the experts' answers into the residual.</summary>
/// <remarks>z: F32 (tokens · k, dim) rows, by pair. shares: F32 (tokens, k) packed. x: F32 (tokens, dim) rows; columns past dim are left as they are. Moves 4
/// · tokens · (k + 2) · dim bytes.</remarks>
public static partial class CombineOp
{
    public readonly record struct Args(int Tokens, int Dim, int PerToken);

    public const int Z = 0, Shares = 1, X = 2, Count = 3;

    public static readonly Kernel Kernel = new()
    {
        Name = "Combine",
        Bindings = ["z:in", "shares:in", "x:inout", "count:in"],
        ArgBytes = 12,
        Units = call => call.Args<Args>().Tokens,
        Bytes = (call, work) => call.RowBytes(Z, (long)work.Rows * call.Args<Args>().PerToken) + 2 * call.RowBytes(X, work.Rows),
        Reference = Reference,
        Host = Host,
        Vulkan = Vulkan,
    };

    extension(IRecorder gpu)
    {
        public void Combine(Tensor z, Tensor shares, Tensor x, Tensor count)
        {
            Shape.Require("Combine", z.Cols == x.Cols && shares.RowCount == x.RowCount && z.RowCount == x.RowCount * shares.Cols && z.Type == DType.F32
                && x.Type == DType.F32,
                "z f32 (tokens · k, dim), shares f32 (tokens, k), x f32 (tokens, dim)", z, shares, x);
            gpu.Launch(Kernel, new Args(x.RowCount, x.Cols, shares.Cols), z, shares, x, count);
        }
    }
}
