namespace Tessera.Shaders;

/// <summary>y[t,n] = silu(Σ_k x[t,k] · gate[n,k]) · Σ_k x[t,k] · up[n,k], quantised where y is A8; silu(v) = v / (1 + e^-v).</summary>
/// <remarks>
/// w: (2 · 16 · panels(ffn), inner) panels, gate and up taking turns panel by panel. x: F32, A16 or A8 (tokens, inner) rows.
/// y: F32, A16 or A8 (tokens, ffn) rows, padding included.
/// The sums are those of <see cref="MatMulOp"/>. Moves the bytes of w once; 4 · tokens · ffn · inner flops. Formula: Shazeer 2020 (SwiGLU).
/// </remarks>
public static partial class GateUpOp
{
    public readonly record struct Args(int Tokens, int Ffn, int Inner);

    public const int W = 0, X = 1, Y = 2, Count = 3;

    public static readonly Kernel Kernel = new()
    {
        Name = "GateUp",
        Bindings = ["w:in", "x:in", "y:out", "count:in"],
        Activations = [X, Y],
        ArgBytes = 12,
        Units = call => Tile.Tiles(call.Args<Args>().Ffn), // 32 columns: a scale block
        Bytes = (call, work) => call.Tensors[W].Bytes + call.RowBytes(X, work.Rows) + call.RowBytes(Y, work.Rows),
        Flops = (call, work) => 4.0 * Math.Min(work.Rows, call.Args<Args>().Tokens) * call.Args<Args>().Ffn * call.Args<Args>().Inner,
        Reference = Reference,
        Host = Host,
        Vulkan = Vulkan,
    };

    /// <summary>Rows of the joined matrix.</summary>
    public static int JoinedRows(int ffn) => 2 * Tile.Rows * Tile.Panels(ffn);

    /// <summary>Row of the joined matrix that holds row n of gate; that of up is 16 further on.</summary>
    public static int GateRow(int n) => n / Tile.Rows * 2 * Tile.Rows + n % Tile.Rows;

    extension(IRecorder gpu)
    {
        public void GateUp(Tensor w, Tensor x, Tensor y, Tensor count)
        {
            Shape.Require("GateUp", w.RowCount == JoinedRows(y.Cols) && x.Cols == w.Cols && x.RowCount == y.RowCount && Rows.Store(y.Type)
                && Panel.Multiplies(w.Type, x.Type),
                "w (2 · 16 · panels(ffn), inner), x f32, f16 or a8 (tokens, inner), y f32, f16 or a8 (tokens, ffn)", w, x, y);
            gpu.Launch(Kernel, new Args(x.RowCount, y.Cols, w.Cols), w, x, y, count);
        }
    }
}
