namespace Tessera.Shaders;

public static partial class RmsNormOp
{
    public static OpCases Cases => new(
        [
            .. from shape in OpCases.RowShapes
               from y in OpCases.ActivationTypes
               // an epsilon as large as the mean square, so that leaving it out shows
               select Case(y, shape.Rows, shape.Dim, eps: shape.Rows % 2 == 0 ? 1e-6f : 8f),
        ],
        [.. from y in OpCases.ActivationTypes select Case(y, 17, 1003, 1e-6f)],
        (model, types) => from rows in OpCases.TimedRows select Case(types.Activations, rows, model.Hidden, 1e-6f));

    static OpCase Case(DType y, int rows, int dim, float eps) => new($"{rows} x {dim}", [y],
        // another rounding of one value may move its s8 by one step of 1/127 of the largest of its 32
        random =>
        [
            Fill.Rows(random, DType.F32, rows, dim, spread: 5), Fill.Vector(random, dim), Fill.Out(y, rows, dim, y == DType.A8 ? 2e-6 : 1e-12), Fill.Ints(rows),
        ],
        (gpu, t) => gpu.RmsNorm(t[X], t[W], t[Y], eps, t[Count])) { Work = Workload.Chunk(rows) };
}
