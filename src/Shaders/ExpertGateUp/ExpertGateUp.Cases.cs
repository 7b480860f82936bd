namespace Tessera.Shaders;

public static partial class ExpertGateUpOp
{
    public static OpCases Cases => new(
        [
            .. from shape in Choices()
               from y in OpCases.ActivationTypes
               from types in OpCases.ProductTypes
               select Case(types.W, types.X, y, shape.Rows, shape.PerToken, shape.Experts, shape.Ffn, shape.Dim, shape.Skew),
        ],
        [.. from types in OpCases.ProductTypes from y in OpCases.ActivationTypes select Case(types.W, types.X, y, 17, 3, 7, 100, 160, skew: true)],
        (model, types) =>
            from rows in OpCases.TimedRows
            where model.HasExperts
            select Case(types.Weights, types.Activations, types.Activations, rows, model.PerToken, model.Experts, model.Ffn, model.Hidden, skew: false));

    /// <summary>Shapes of the experts' ops: few and many rows for each expert, experts that nobody chose.</summary>
    internal static IEnumerable<(int Rows, int PerToken, int Experts, int Ffn, int Dim, bool Skew)> Choices() =>
    [
        (1, 1, 1, 16, 32, false),
        (1, 8, 16, 24, 64, false),
        (5, 2, 3, 48, 96, false),
        (17, 3, 7, 33, 37, true),
        (40, 4, 5, 100, 64, false),
        (13, 2, 31, 17, 64, true),
        (3, 2, 3, 1100, 1060, true), // more tiles than slices
    ];

    static OpCase Case(DType w, DType x, DType y, int rows, int perToken, int experts, int ffn, int inner, bool skew) =>
        new($"{rows} x 2 x {ffn} x {inner}, {perToken} of {experts}", [w, x, y], random =>
    {
        var (order, groups) = GroupOp.Sorted(GroupOp.Choose(random, rows, perToken, experts, skew), perToken, experts);
        return
        [
            GateUpOp.Joined(random, w, ffn, inner, experts).Share(), Fill.Rows(random, x, rows, inner, spread: 2), order, groups,
            Fill.Out(y, rows * perToken, ffn, y == DType.A8 ? 5e-6 : 1e-11),
        ];
    }, (gpu, t) => gpu.ExpertGateUp(t[W], t[X], t[Order], t[Groups], t[Y])) { Work = Workload.Chunk(rows, perToken: perToken) };
}
