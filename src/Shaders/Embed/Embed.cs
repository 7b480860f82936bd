namespace Tessera.Shaders;

/// <summary>x[t] = table[tokens[t]]</summary>
/// <remarks>tokens: I32 (1, tokens) packed. table: F32, BF16, F16 or Q8 (vocabulary, dim) panels. x: F32 (tokens, dim) rows. An id outside the table gives zeros. Moves the bytes of a table row and 4 · dim per token.</remarks>
public static partial class EmbedOp
{
    public readonly record struct Args(int Tokens, int Vocabulary, int Dim);

    public const int Tokens = 0, Table = 1, X = 2, Count = 3;

    public static readonly Kernel Kernel = new()
    {
        Name = "Embed",
        Bindings = ["tokens:in", "table:in", "x:out", "count:in"],
        ArgBytes = 12,
        Units = call => call.Args<Args>().Tokens,
        Reference = Reference,
        Host = Host,
        Vulkan = Vulkan,
    };

    extension(IRecorder gpu)
    {
        public void Embed(Tensor tokens, Tensor table, Tensor x, Tensor count)
        {
            Shape.Require("Embed", tokens.Cols == x.RowCount && table.Cols == x.Cols && x.Type == DType.F32,
                "tokens (1, tokens), table (vocabulary, dim), x f32 (tokens, dim)", tokens, table, x);
            gpu.Launch(Kernel, new Args(x.RowCount, table.RowCount, x.Cols), tokens, table, x, count);
        }
    }
}
