namespace Tessera.Shaders;

public static partial class AttentionMergeOp
{
    public static OpCases Cases => new(
        [
            .. from shape in new (int Heads, int HeadDim, int[] Positions)[]
               {
                   (1, 32, [0]), (4, 64, [255, 256, 257]), (3, 96, [1100, 3, 511, 512]), (16, 128, [767]), (2, 256, [0, 300, 4000]),
               }
               from y in OpCases.ActivationTypes
               select Case(y, shape.Heads, shape.HeadDim, shape.Positions),
        ],
        [Case(DType.A8, 8, 64, [.. Enumerable.Range(1500, 12)])],
        (model, types) => from depth in new[] { 511, 4095, 16383 }
                          select Case(types.Activations, model.Heads, model.HeadDim, [depth], Workload.Chunk(1, depth)));

    /// <summary>With the positions of the tokens; what lies behind their splits is poison.</summary>
    static OpCase Case(DType y, int heads, int dim, int[] positions, Workload? timed = null) =>
        new($"{positions.Length} x {heads} heads of {dim} at {string.Join(", ", positions.Take(4))}", [y], random =>
        {
            int splits = positions.Max() / AttentionOp.SplitTokens + (timed is null ? 2 : 1);
            var partials = new float[positions.Length * heads * splits * (dim + 2)];
            Array.Fill(partials, BitConverter.Int32BitsToSingle(-1));
            for (int row = 0; row < positions.Length * heads; row++)
                for (int s = 0; s <= positions[row / heads] / AttentionOp.SplitTokens; s++)
                {
                    var partial = partials.AsSpan((row * splits + s) * (dim + 2), dim + 2);
                    for (int d = 0; d < dim; d++) partial[d] = (float)(random.NextDouble() * 20 - 10);
                    partial[dim] = (float)(random.NextDouble() * 12 - 6);
                    partial[dim + 1] = (float)(1 + random.NextDouble() * 40);
                }
            return
            [
                Fill.Packed<float>(DType.F32, positions.Length * heads * splits, dim + 2, partials), Fill.Ints(positions),
                Fill.Out(y, positions.Length, heads * dim, y == DType.A8 ? 2e-6 : 1e-12), Fill.Ints(positions.Length),
            ];
        },
        (gpu, t) => gpu.AttentionMerge(t[Partials], t[Positions], t[Y], heads, t[Count])) { Work = timed ?? Workload.Full };
}
