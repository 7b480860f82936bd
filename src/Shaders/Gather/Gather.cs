namespace Tessera.Shaders;

/// <summary>y[s] = x[rows[s]]: the rows whose logits or states are wanted.</summary>
/// <remarks>x: F32 (tokens, dim) rows. rows: I32 (1, wanted) packed. y: F32 (wanted, dim) rows. count: I32, the wanted that are real, or none.</remarks>
public static partial class GatherOp
{
    public readonly record struct Args(int Wanted, int Dim);

    public const int X = 0, RowIds = 1, Y = 2, Count = 3;

    public static readonly Kernel Kernel = new()
    {
        Name = "Gather",
        Bindings = ["x:in", "rows:in", "y:out", "count:in"],
        ArgBytes = 8,
        Units = call => call.Args<Args>().Wanted,
        Bytes = (call, work) => 2 * call.RowBytes(Y, work.Rows),
        Reference = Reference,
        Host = Reference, // a copy of whole rows
        Vulkan = Vulkan,
    };

    extension(IRecorder gpu)
    {
        public void Gather(Tensor x, Tensor rows, Tensor y, Tensor count)
        {
            Shape.Require("Gather", x.Cols == y.Cols && rows.Cols == y.RowCount && x.Type == DType.F32 && y.Type == DType.F32,
                "x f32 (tokens, dim), rows i32 (1, wanted), y f32 (wanted, dim)", x, rows, y);
            gpu.Launch(Kernel, new Args(y.RowCount, y.Cols), x, rows, y, count);
        }
    }
}
