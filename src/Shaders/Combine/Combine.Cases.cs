namespace Tessera.Shaders;

public static partial class CombineOp
{
    public static OpCases Cases => new(
        [.. from shape in ExpertGateUpOp.Choices() select Case(shape.Rows, shape.PerToken, shape.Dim)],
        [Case(17, 3, 1003)],
        (model, _) => from rows in OpCases.TimedRows where model.HasExperts select Case(rows, model.PerToken, model.Hidden));

    static OpCase Case(int rows, int perToken, int dim) => new($"{rows} x {perToken} x {dim}", [DType.F32],
        random =>
        [
            Fill.Rows(random, DType.F32, rows * perToken, dim), Fill.Vector(random, perToken, rows), Fill.Rows(random, DType.F32, rows, dim).InOut(1e-12),
            Fill.Ints(rows),
        ],
        (gpu, t) => gpu.Combine(t[Z], t[Shares], t[X], t[Count])) { Work = Workload.Chunk(rows, perToken: perToken) };
}
