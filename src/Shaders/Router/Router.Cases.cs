namespace Tessera.Shaders;

public static partial class RouterOp
{
    public static OpCases Cases => new(
        [
            .. from y in OpCases.ActivationTypes
               from shape in new[] { (1, 32, 1, 1, true), (3, 64, 8, 2, false), (5, 100, 17, 3, true), (17, 256, 128, 8, true), (2, 1024, 300, 64, false) }
               select Case(y, shape.Item1, shape.Item2, shape.Item3, shape.Item4, shape.Item5),
        ],
        [.. from y in OpCases.ActivationTypes select Case(y, 17, 160, 23, 3, true)],
        (model, types) =>
            from rows in OpCases.TimedRows
            where model.HasExperts
            select Case(types.Activations, rows, model.Hidden, model.Experts, model.PerToken, true));

    static OpCase Case(DType y, int rows, int dim, int experts, int perToken, bool renormalise) =>
        new($"{rows} x {dim}, {perToken} of {experts}{(renormalise ? "" : ", shares of all")}", [y],
        random =>
        [
            Fill.Rows(random, DType.F32, rows, dim, spread: 3), Fill.Vector(random, dim), Fill.Weights(random, DType.F32, experts, dim),
            Fill.Out(y, rows, dim, y == DType.A8 ? 2e-6 : 1e-12), Fill.PackedOut(DType.F32, rows, experts, 1e-11),
            Fill.PackedOut(DType.I32, rows, perToken), Fill.PackedOut(DType.F32, rows, perToken, 1e-9),
            Fill.Ints(rows),
        ],
        (gpu, t) => gpu.Router(t[X], t[Norm], t[W], t[Y], t[Logits], t[Chosen], t[Shares], 1e-6f, renormalise, t[Count]))
        { Work = Workload.Chunk(rows, perToken: perToken) };
}
