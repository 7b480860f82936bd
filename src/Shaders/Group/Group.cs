namespace Tessera.Shaders;

/// <summary>Sorts the pairs (token, choice) by expert, keeping their order within one, and cuts each expert's list into tiles.</summary>
/// <remarks>
/// chosen: I32 (tokens, k) packed; pair t · k + i. order: I32 (1, tokens · k) packed: the pairs, sorted.
/// groups: I32 (1, Size) packed: where each expert's list begins in order (experts + 1 numbers, the last the end), the number of tiles, then for each tile its
/// expert, first place in order, and rows, at most <see cref="TileRows"/>. The height is decided by the call's bounds alone, so that all ops of a layer know
/// it; it decides what is computed together, and no bits.
/// Only real tokens are sorted; what lies behind is left as it is.
/// </remarks>
public static partial class GroupOp
{
    public readonly record struct Args(int Tokens, int PerToken, int Experts, int TileRows);

    public const int Chosen = 0, Order = 1, Groups = 2, Count = 3;

    public static readonly Kernel Kernel = new()
    {
        Name = "Group",
        Bindings = ["chosen:in", "order:out", "groups:out", "count:in"],
        ArgBytes = 16,
        Units = _ => 1,
        Bytes = (call, work) => 8.0 * Math.Min(work.Rows, call.Args<Args>().Tokens) * call.Args<Args>().PerToken + call.Tensors[Groups].Bytes,
        Reference = Reference,
        Host = Reference, // a counting sort of a few thousand numbers
        Vulkan = Vulkan,
    };

    /// <summary>Heights of a tile, multiples of the tokens that share one reading of a panel.</summary>
    static ReadOnlySpan<int> Heights => [Tile.Tokens, 4 * Tile.Tokens];

    /// <summary>Rows of a tile: the lowest height that the rows expected of an expert fit, where all are chosen alike; else the highest.</summary>
    public static int TileRows(int pairs, int experts)
    {
        foreach (int height in Heights)
            if (pairs <= (long)height * experts) return height;
        return Heights[^1];
    }

    /// <summary>The most tiles that so many pairs can make.</summary>
    public static int MaxTiles(int pairs, int experts) => Math.Min(pairs, experts + pairs / TileRows(pairs, experts));

    /// <summary>Numbers in groups.</summary>
    public static int Size(int pairs, int experts) => experts + 2 + 3 * MaxTiles(pairs, experts);

    extension(IRecorder gpu)
    {
        public void Group(Tensor chosen, Tensor order, Tensor groups, int experts, Tensor count)
        {
            Shape.Require("Group", order.Cols == chosen.RowCount * chosen.Cols && groups.Cols == Size(order.Cols, experts) && experts <= RouterOp.MaxExperts,
                "chosen i32 (tokens, k), order i32 (1, tokens · k), groups i32 (1, Size)", chosen, order, groups);
            gpu.Launch(Kernel, new Args(chosen.RowCount, chosen.Cols, experts, TileRows(order.Cols, experts)), chosen, order, groups, count);
        }
    }
}
