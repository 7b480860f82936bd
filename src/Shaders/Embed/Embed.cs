namespace Tessera.Shaders;

/// <summary>x[t] = table[ids[t]]</summary>
/// <remarks>ids: I32 (1, tokens) packed. table: a type of weights, (vocabulary, dim) panels. x: F32 (tokens, dim) rows. An id outside the table gives zeros.
/// Moves the bytes of a table row and 4 · dim per token.</remarks>
public static partial class EmbedOp
{
    public readonly record struct Args(int Tokens, int Vocabulary, int Dim);

    public const int Ids = 0, Table = 1, X = 2, Count = 3;

    public static readonly Kernel Kernel = new()
    {
        Name = "Embed",
        Bindings = ["ids:in", "table:in", "x:out", "count:in"],
        ArgBytes = 12,
        Units = call => call.Args<Args>().Tokens,
        Bytes = (call, work) => call.RowBytes(X, work.Rows)
            + Math.Min(work.Rows, call.Args<Args>().Tokens) * (double)(Tile.Bytes(call.Tensors[Table].Type, Tile.Rows, call.Args<Args>().Dim) / Tile.Rows),
        Reference = Reference,
        Host = Host,
        Vulkan = Vulkan,
    };

    extension(IRecorder gpu)
    {
        public void Embed(Tensor ids, Tensor table, Tensor x, Tensor count)
        {
            Shape.Require("Embed", ids.Cols == x.RowCount && table.Cols == x.Cols && x.Type == DType.F32,
                "ids (1, tokens), table (vocabulary, dim), x f32 (tokens, dim)", ids, table, x);
            gpu.Launch(Kernel, new Args(x.RowCount, table.RowCount, x.Cols), ids, table, x, count);
        }
    }
}
