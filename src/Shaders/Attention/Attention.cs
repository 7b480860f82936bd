namespace Tessera.Shaders;

/// <summary>y[t,h] = Σ_j softmax_j(scale · q[t,h] · key[j,h']) · value[j,h'] over the positions j up to the token's own; h' = h / (heads / kvHeads).</summary>
/// <remarks>
/// q: F32 (tokens, at least heads · headDim) rows, the q part of QkRope's qkv. keys, values: F32, F16 or Q8, see <see cref="KvBlock"/>.
/// blocks: I32 (sequences, maxBlocks) packed: the block table. sequences, positions: I32 (1, tokens) packed: each token's row of the table and its position.
/// y: F32 or A8 (tokens, heads · headDim) rows. One pass over the blocks in ascending order with a running maximum (Milakov and Gimelshein 2018),
/// so the order of sums is fixed by the length of the context. Moves the keys and values of the context once per kvHead and token tile; 4 · heads · headDim
/// flops per pair of tokens.
/// </remarks>
public static partial class AttentionOp
{
    public readonly record struct Args(int Tokens, int Heads, int KvHeads, int HeadDim, int QCols, int MaxBlocks, float Scale);

    public const int Q = 0, Keys = 1, Values = 2, Blocks = 3, Sequences = 4, Positions = 5, Y = 6, Count = 7;

    public const int MaxHeadDim = 256;

    /// <summary>Query tokens of a unit: in the host's body they share one reading of the cache.</summary>
    const int TileTokens = 4;

    public static readonly Kernel Kernel = new()
    {
        Name = "Attention",
        Bindings = ["q:in", "keys:in", "values:in", "blocks:in", "sequences:in", "positions:in", "y:out", "count:in"],
        ArgBytes = 28,
        Units = call => (call.Args<Args>().Tokens + TileTokens - 1) / TileTokens * call.Args<Args>().KvHeads,
        Bytes = Moved,
        Flops = (call, work) => 4.0 * call.Args<Args>().Heads * call.Args<Args>().HeadDim
            * Math.Min(work.Pairs, (long)call.Args<Args>().Tokens * call.Args<Args>().MaxBlocks * KvBlock.Tokens),
        Reference = Reference,
        Host = Host,
        Vulkan = Vulkan,
    };

    /// <summary>Keys and values of the context once, queries in, activations out.</summary>
    static double Moved(Call call, Workload work)
    {
        var a = call.Args<Args>();
        long context = Math.Min(work.Context, (long)call.Tensors[Blocks].RowCount * a.MaxBlocks * KvBlock.Tokens);
        return 2.0 * context * a.KvHeads * KvBlock.HeadBytes(call.Tensors[Keys].Type, a.HeadDim) / KvBlock.Tokens
            + Math.Min(work.Rows, a.Tokens) * 4.0 * a.Heads * a.HeadDim + call.RowBytes(Y, work.Rows);
    }

    extension(IRecorder gpu)
    {
        public void Attention(Tensor q, Tensor keys, Tensor values, Tensor blocks, Tensor sequences, Tensor positions, Tensor y, int heads, int kvHeads,
            float scale, Tensor count)
        {
            int headDim = keys.Cols;
            Shape.Require("Attention", headDim % 32 == 0 && headDim <= MaxHeadDim && heads % kvHeads == 0 && q.Cols >= heads * headDim
                && y.Cols == heads * headDim && y.RowCount == q.RowCount
                && values.Cols == headDim && keys.Type == values.Type && keys.Type is DType.F32 or DType.F16 or DType.Q8 && positions.Cols == q.RowCount
                && sequences.Cols == q.RowCount,
                "q f32 (tokens, heads · headDim), keys and values f32, f16 or q8, blocks (sequences, maxBlocks), "
                    + "sequences and positions (1, tokens), y (tokens, heads · headDim)",
                q, keys, values, blocks, sequences, positions, y);
            gpu.Launch(Kernel, new Args(q.RowCount, heads, kvHeads, headDim, q.Cols, blocks.Cols, scale), q, keys, values, blocks, sequences, positions, y,
                count);
        }
    }
}
