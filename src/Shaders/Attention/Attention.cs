namespace Tessera.Shaders;

/// <summary>y[t,h] = Σ_j softmax_j(scale · q[t,h] · key[j,h']) · value[j,h'] over the positions j up to the token's own; h' = h / (heads / kvHeads).</summary>
/// <remarks>
/// q: F32 (tokens, at least heads · headDim) rows, the q part of QkRope's qkv. keys, values: F32, F16 or Q8, see <see cref="KvBlock"/>.
/// blocks: I32 (sequences, maxBlocks) packed: the block table. sequences, positions: I32 (1, tokens) packed: each token's row of the table and its position.
/// y: F32, A16 or A8 (tokens, heads · headDim) rows.
/// The context is cut by position alone: split s is the positions [256 s, 256 s + 256) up to the token's own. Its partial is m = max_j(score_j), l = Σ_j
/// exp(score_j − m), o = Σ_j exp(score_j − m) · value_j, in an order that a body fixes for all. Partials are merged in ascending order: the first as it is,
/// then (m, l, o) ← (m', l · e^(m − m') + l_s · e^(m_s − m'), o · e^(m − m') + o_s · e^(m_s − m')) with m' = max(m, m_s) and the second product fused with
/// the sum; y = o / l. A call either merges in place or leaves the partials to AttentionMerge, with the same bits.
/// partials: F32 (tokens · heads · splits, headDim + 2) packed: o, m, l; splits of the whole block table, those behind a token's own are left as they are.
/// Moves the keys and values of the context once per kvHead and token tile; 4 · heads · headDim flops per pair of tokens.
/// </remarks>
public static partial class AttentionOp
{
    /// <param name="Tokens">Rows of q.</param>
    /// <param name="Heads">Of queries.</param>
    /// <param name="KvHeads">Of keys and values.</param>
    /// <param name="HeadDim">Numbers of a head.</param>
    /// <param name="QCols">Columns of q.</param>
    /// <param name="MaxBlocks">Columns of the block table.</param>
    /// <param name="Splits">Of a token in the partials; 0: partials are merged and y is the answer.</param>
    /// <param name="Scale">Of scores.</param>
    public readonly record struct Args(int Tokens, int Heads, int KvHeads, int HeadDim, int QCols, int MaxBlocks, int Splits, float Scale);

    public const int Q = 0, Keys = 1, Values = 2, Blocks = 3, Sequences = 4, Positions = 5, Y = 6, Count = 7;

    public const int MaxHeadDim = 256;

    /// <summary>Positions of a split.</summary>
    public const int SplitTokens = 256;

    /// <summary>With more tokens there is work enough for all without cutting the context.</summary>
    public const int MaxSplitRows = 16;

    /// <summary>Query tokens of a unit: in the host's body they share one reading of the cache.</summary>
    const int TileTokens = 4;

    public static readonly Kernel Kernel = new()
    {
        Name = "Attention",
        Bindings = ["q:in", "keys:in", "values:in", "blocks:in", "sequences:in", "positions:in", "y:out", "count:in"],
        Activations = [Y],
        ArgBytes = 32,
        Units = call => Tiles(call.Args<Args>().Tokens) * call.Args<Args>().KvHeads * Math.Max(1, call.Args<Args>().Splits),
        Bytes = Moved,
        Flops = (call, work) => 4.0 * call.Args<Args>().Heads * call.Args<Args>().HeadDim
            * Math.Min(work.Pairs, (long)call.Args<Args>().Tokens * call.Args<Args>().MaxBlocks * KvBlock.Tokens),
        Reference = Reference,
        Host = Host,
        Vulkan = Vulkan,
    };

    /// <summary>Splits that a block table of so many blocks can have.</summary>
    public static int Splits(int maxBlocks) => (maxBlocks * KvBlock.Tokens + SplitTokens - 1) / SplitTokens;

    static int Tiles(int tokens) => (tokens + TileTokens - 1) / TileTokens;

    /// <summary>Keys and values of the context once, queries in, activations or partials out.</summary>
    static double Moved(Call call, Workload work)
    {
        var a = call.Args<Args>();
        long context = Math.Min(work.Context, (long)call.Tensors[Blocks].RowCount * a.MaxBlocks * KvBlock.Tokens);
        double partial = a.Heads * (a.HeadDim + 2) * 4.0, rows = Math.Min(work.Rows, a.Tokens);
        double split = Math.Min(rows * a.Splits, (double)work.Pairs / SplitTokens + rows);
        return 2.0 * context * a.KvHeads * KvBlock.HeadBytes(call.Tensors[Keys].Type, a.HeadDim) / KvBlock.Tokens
            + rows * 4.0 * a.Heads * a.HeadDim + (a.Splits > 0 ? split * partial : call.RowBytes(Y, work.Rows));
    }

    extension(IRecorder gpu)
    {
        /// <summary>In one call, or where there are <paramref name="partials"/> in two, so that all of a device works for a few tokens.</summary>
        public void Attention(Tensor q, Tensor keys, Tensor values, Tensor blocks, Tensor sequences, Tensor positions, Tensor partials, Tensor y, int heads,
            int kvHeads, float scale, Tensor count)
        {
            if (!partials.IsNone)
            {
                gpu.AttentionPartials(q, keys, values, blocks, sequences, positions, partials, heads, kvHeads, scale, count);
                gpu.AttentionMerge(partials, positions, y, heads, count);
                return;
            }
            Shape.Require("Attention", Fits(q, keys, values, sequences, positions, heads, kvHeads) && y.Cols == heads * keys.Cols && y.RowCount == q.RowCount
                && Rows.Store(y.Type),
                Contract + ", y (tokens, heads · headDim)", q, keys, values, blocks, sequences, positions, y);
            gpu.Launch(Kernel, new Args(q.RowCount, heads, kvHeads, keys.Cols, q.Cols, blocks.Cols, 0, scale), q, keys, values, blocks, sequences, positions,
                y, count);
        }

        /// <summary>The partials of each split, for AttentionMerge.</summary>
        public void AttentionPartials(Tensor q, Tensor keys, Tensor values, Tensor blocks, Tensor sequences, Tensor positions, Tensor partials, int heads,
            int kvHeads, float scale, Tensor count)
        {
            int splits = Splits(blocks.Cols);
            Shape.Require("Attention", Fits(q, keys, values, sequences, positions, heads, kvHeads) && partials.Cols == keys.Cols + 2
                && partials.RowCount == q.RowCount * heads * splits && partials.Type == DType.F32,
                Contract + ", partials f32 (tokens · heads · splits, headDim + 2)", q, keys, values, blocks, sequences, positions, partials);
            gpu.Launch(Kernel, new Args(q.RowCount, heads, kvHeads, keys.Cols, q.Cols, blocks.Cols, splits, scale), q, keys, values, blocks, sequences,
                positions, partials, count);
        }
    }

    const string Contract = "q f32 (tokens, heads · headDim), keys and values f32, f16 or q8, blocks (sequences, maxBlocks), "
        + "sequences and positions (1, tokens)";

    static bool Fits(Tensor q, Tensor keys, Tensor values, Tensor sequences, Tensor positions, int heads, int kvHeads) =>
        keys.Cols % 32 == 0 && keys.Cols <= MaxHeadDim && heads % kvHeads == 0 && q.Cols >= heads * keys.Cols
        && values.Cols == keys.Cols && keys.Type == values.Type && keys.Type is DType.F32 or DType.F16 or DType.Q8
        && positions.Cols == q.RowCount && sequences.Cols == q.RowCount;
}
