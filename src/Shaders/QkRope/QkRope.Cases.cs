namespace Tessera.Shaders;

public static partial class QkRopeOp
{
    public static OpCases Cases => new(
        [
            .. from kv in OpCases.CacheTypes
               from shape in new[] { (1, 1, 1, 32), (3, 4, 2, 64), (17, 16, 8, 128), (5, 8, 1, 96) }
               select Case(kv, shape.Item1, shape.Item2, shape.Item3, shape.Item4, blocks: 5, omit: true),
        ],
        [.. from kv in OpCases.CacheTypes select Case(kv, 17, 4, 2, 64, blocks: 5, omit: false)],
        (model, types) => from rows in OpCases.TimedRows select Case(types.Cache, rows, model.Heads, model.KvHeads, model.HeadDim, blocks: 64, omit: false));

    /// <param name="omit">A token whose slot is negative is among them.</param>
    static OpCase Case(DType kv, int rows, int heads, int kvHeads, int dim, int blocks, bool omit) =>
        new($"{rows} x {heads}/{kvHeads} heads of {dim}", [kv], random =>
    {
        int[] places = [.. Enumerable.Range(0, blocks * KvBlock.Tokens)];
        random.Shuffle(places);
        if (omit && rows > 2) places[1] = -1;
        var rope = new float[rows * dim];
        for (int i = 0; i < rope.Length; i++)
        {
            double angle = random.NextDouble() * 6;
            rope[i] = (float)(i % dim < dim / 2 ? Math.Cos(angle) : Math.Sin(angle));
        }
        return
        [
            Fill.Rows(random, DType.F32, rows, (heads + 2 * kvHeads) * dim, spread: 3).InOut(1e-12), Fill.Vector(random, dim), Fill.Vector(random, dim),
            Fill.Packed<float>(DType.F32, rows, dim, rope), Fill.Ints(places.AsSpan(0, rows)),
            Fill.Cache(random, kv, kvHeads, dim, blocks, keys: true, slots: []).InOut(0),
            Fill.Cache(random, kv, kvHeads, dim, blocks, keys: false, slots: []).InOut(0), Fill.Ints(rows),
        ];
    },
    (gpu, t) => gpu.QkRope(t[Qkv], t[QNorm], t[KNorm], t[Rope], t[Slots], t[Keys], t[Values], heads, kvHeads, 1e-6f, t[Count]))
    { Work = Workload.Chunk(rows) };
}
