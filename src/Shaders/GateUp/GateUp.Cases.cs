namespace Tessera.Shaders;

public static partial class GateUpOp
{
    public static OpCases Cases => new(
        [
            .. from shape in new[] { (1, 1, 32), (1, 16, 64), (2, 17, 96), (4, 33, 37), (5, 100, 64), (9, 160, 352) }
               from y in OpCases.ActivationTypes
               from types in OpCases.ProductTypes
               select Case(types.W, types.X, y, shape.Item1, shape.Item2, shape.Item3),
        ],
        [.. from types in OpCases.ProductTypes from y in OpCases.ActivationTypes select Case(types.W, types.X, y, 17, 100, 160)],
        (model, types) =>
            from rows in OpCases.TimedRows
            where !model.HasExperts
            select Case(types.Weights, types.Activations, types.Activations, rows, model.Ffn, model.Hidden));

    static OpCase Case(DType w, DType x, DType y, int rows, int ffn, int inner) => new($"{rows} x 2 x {ffn} x {inner}", [w, x, y],
        random =>
        [
            Joined(random, w, ffn, inner), Fill.Rows(random, x, rows, inner, spread: 2), Fill.Out(y, rows, ffn, y == DType.A8 ? 5e-6 : 1e-11),
            Fill.Ints(rows),
        ],
        (gpu, t) => gpu.GateUp(t[W], t[X], t[Y], t[Count])) { Work = Workload.Chunk(rows) };

    /// <summary>The joined matrix, or those of experts: rows past ffn are padding and zeros.</summary>
    public static Operand Joined(Random random, DType type, int ffn, int inner, int experts = 1) =>
        Fill.Experts(random, type, experts, JoinedRows(ffn), inner, row => row / (2 * Tile.Rows) * Tile.Rows + row % Tile.Rows < ffn);
}
