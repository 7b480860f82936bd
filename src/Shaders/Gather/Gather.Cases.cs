namespace Tessera.Shaders;

public static partial class GatherOp
{
    public static OpCases Cases => new(
        [.. from shape in OpCases.RowShapes select Case(shape.Rows, shape.Dim, [shape.Rows - 1, 0, shape.Rows / 2])],
        [Case(17, 160, [3, 16, 0, 3])],
        // the last row of a chunk, all of a batch that decodes
        (model, _) => [Case(256, model.Hidden, [255]), Case(16, model.Hidden, [.. Enumerable.Range(0, 16)])]);

    static OpCase Case(int rows, int dim, int[] wanted) => new($"{wanted.Length} of {rows} x {dim}", [DType.F32],
        random => [Fill.Rows(random, DType.F32, rows, dim), Fill.Ints(wanted), Fill.Out(DType.F32, wanted.Length, dim, bound: 0), Fill.Ints(wanted.Length)],
        (gpu, t) => gpu.Gather(t[X], t[RowIds], t[Y], t[Count])) { Work = Workload.Chunk(wanted.Length) };
}
