namespace Tessera.Shaders;

public static partial class ExpertDownOp
{
    public static OpCases Cases => new(
        [
            .. from shape in ExpertGateUpOp.Choices()
               from types in OpCases.ProductTypes
               select Case(types.W, types.X, shape.Rows, shape.PerToken, shape.Experts, shape.Dim, shape.Ffn, shape.Skew),
        ],
        [.. from types in OpCases.ProductTypes select Case(types.W, types.X, 17, 3, 7, 100, 160, skew: true)],
        (model, types) =>
            from rows in OpCases.TimedRows
            where model.HasExperts
            select Case(types.Weights, types.Activations, rows, model.PerToken, model.Experts, model.Hidden, model.Ffn, skew: false));

    static OpCase Case(DType w, DType x, int rows, int perToken, int experts, int outer, int inner, bool skew) =>
        new($"{rows} x {outer} x {inner}, {perToken} of {experts}", [w, x], random =>
    {
        var (order, groups) = GroupOp.Sorted(GroupOp.Choose(random, rows, perToken, experts, skew), perToken, experts);
        return
        [
            Fill.Experts(random, w, experts, outer, inner).Share(), Fill.Rows(random, x, rows * perToken, inner), order, groups,
            Fill.Out(DType.F32, rows * perToken, outer, 1e-12),
        ];
    }, (gpu, t) => gpu.ExpertDown(t[W], t[X], t[Order], t[Groups], t[Y])) { Work = Workload.Chunk(rows, perToken: perToken) };
}
