namespace Tessera.Shaders;

public static partial class AttentionOp
{
    public static OpCases Cases => new(
        [
            .. from shape in Shapes()
               from kv in OpCases.CacheTypes
               from y in OpCases.ActivationTypes
               select Case(kv, y, shape.Heads, shape.KvHeads, shape.HeadDim, shape.Positions),
            .. from shape in Shapes()
               from kv in OpCases.CacheTypes
               select Case(kv, null, shape.Heads, shape.KvHeads, shape.HeadDim, shape.Positions),
        ],
        [
            .. from kv in OpCases.CacheTypes
               from y in OpCases.ActivationTypes
               select Case(kv, y, 4, 2, 64, [[.. Enumerable.Range(30, 13)], [100], [0, 1, 2]]),
            .. from kv in OpCases.CacheTypes
               from y in new DType?[] { DType.F32, null }
               select Case(kv, y, 4, 2, 64, [[.. Enumerable.Range(700, 9)], [100], [0, 1, 2]]),
        ],
        (model, types) =>
            from step in new (int Rows, int Depth)[] { (1, 511), (1, 4095), (1, 16383), (256, 0), (256, 3840) }
            select Case(types.Cache, step.Rows > MaxSplitRows ? types.Activations : null, model.Heads, model.KvHeads, model.HeadDim,
                [[.. Enumerable.Range(step.Depth, step.Rows)]], Workload.Chunk(step.Rows, step.Depth)));

    /// <summary>With the positions of each sequence's tokens.</summary>
    static IEnumerable<(int Heads, int KvHeads, int HeadDim, int[][] Positions)> Shapes() =>
    [
        (1, 1, 32, [[0]]),
        (4, 2, 64, [[14], [15], [16]]),
        (16, 8, 128, [[99], [0, 1, 2], [30, 31, 32, 33, 34]]),
        (8, 1, 32, [[16, 17], [47]]),
        (20, 2, 64, [[5, 6, 7], [200]]),
        (16, 8, 128, [[.. Enumerable.Range(5, 21)], [.. Enumerable.Range(126, 5)], [0]]),
        (6, 2, 96, [[.. Enumerable.Range(0, 14)], [14], [15], [16, 17]]), // positions go on where sequences do not
        (8, 2, 64, [[40, 41], [77]]),
        (4, 1, 256, [[70, 71], [3]]),
        (2, 2, 32, [[.. Enumerable.Range(117, 19)]]),
        (4, 2, 64, [[.. Enumerable.Range(253, 7)], [255], [256], [600, 601, 602]]), // at the ends of splits
        (16, 8, 128, [[777], [3]]),
        (5, 1, 96, [[511, 512, 513], [1026]]),
    ];

    /// <summary>Sequences whose blocks lie scattered in a cache that is otherwise poison.</summary>
    /// <param name="y">The type of the answer; null: its partials are left.</param>
    static OpCase Case(DType kv, DType? y, int heads, int kvHeads, int dim, int[][] positions, Workload? timed = null)
    {
        int rows = positions.Sum(p => p.Length);
        string ends = string.Join(", ", positions.Select(p => p.Length == 1 ? $"{p[0]}" : $"{p[0]} to {p[^1]}"));
        string what = y is null ? "partials of " : "";
        return new($"{what}{rows} x {heads}/{kvHeads} heads of {dim} at {ends}", [kv, y ?? DType.F32], random =>
        {
            int maxBlocks = positions.Max(p => p[^1] / KvBlock.Tokens + 1) + (timed is null ? 1 : 0);
            int blocks = positions.Length * maxBlocks + (timed is null ? 3 : 0); // more than the table needs, where nothing is timed
            int[] order = [.. Enumerable.Range(0, blocks)], table = new int[positions.Length * maxBlocks];
            random.Shuffle(order);
            var slots = new List<int>();
            int next = 0;
            for (int s = 0; s < positions.Length; s++)
                for (int j = 0; j <= positions[s][^1]; j++)
                {
                    if (j % KvBlock.Tokens == 0) table[s * maxBlocks + j / KvBlock.Tokens] = order[next++];
                    slots.Add(table[s * maxBlocks + j / KvBlock.Tokens] * KvBlock.Tokens + j % KvBlock.Tokens);
                }
            int[]? real = timed is null ? [.. slots] : null;
            return
            [
                Fill.Rows(random, DType.F32, rows, (heads + 2 * kvHeads) * dim, spread: 3),
                Fill.Cache(random, kv, kvHeads, dim, blocks, keys: true, real), Fill.Cache(random, kv, kvHeads, dim, blocks, keys: false, real),
                Fill.Packed<int>(DType.I32, positions.Length, maxBlocks, table),
                Fill.Ints([.. positions.SelectMany((p, s) => Enumerable.Repeat(s, p.Length))]), Fill.Ints([.. positions.SelectMany(p => p)]),
                y is { } type ? Fill.Out(type, rows, heads * dim, type == DType.A8 ? 2e-5 : 1e-9)
                    : Fill.PackedOut(DType.F32, rows * heads * Splits(maxBlocks), dim + 2, 1e-9),
                Fill.Ints(rows),
            ];
        },
        (gpu, t) =>
        {
            if (y is null) gpu.AttentionPartials(t[Q], t[Keys], t[Values], t[Blocks], t[Sequences], t[Positions], t[Y], heads, kvHeads, 0.13f, t[Count]);
            else
                gpu.Attention(t[Q], t[Keys], t[Values], t[Blocks], t[Sequences], t[Positions], Tensor.None, t[Y], heads, kvHeads, 0.13f, t[Count]);
        })
        { Work = timed ?? Workload.Full };
    }
}
