namespace Tessera.Shaders;

public static partial class MatMulOp
{
    public static OpCases Cases => new(
        [
            .. from shape in new[] { (1, 1, 32), (1, 16, 96), (1, 17, 100), (3, 33, 64), (4, 48, 32), (5, 129, 352), (9, 64, 1000), (17, 1003, 37),
                (6, 33, 2100), (1, 16, 3072) }
               from types in OpCases.ProductTypes
               from add in new[] { false, true }
               select Case(types.W, types.X, shape.Item1, shape.Item2, shape.Item3, add, bias: add),
        ],
        [.. from types in OpCases.ProductTypes select Case(types.W, types.X, 17, 200, 1000, add: false, bias: false)],
        (model, types) =>
            from part in Parts(model)
            from rows in OpCases.TimedRows
            where part.Name != "head" || rows == 1 // prefill wants the logits of its last token
            select Case(types.Weights, types.Activations, rows, part.Outer, part.Inner, part.Add, bias: false, part.Name));

    static IEnumerable<(string Name, int Outer, int Inner, bool Add)> Parts(ModelShape m)
    {
        yield return ("qkv", m.QkvCols, m.Hidden, false);
        yield return ("out", m.Hidden, m.Heads * m.HeadDim, true);
        if (!m.HasExperts) yield return ("down", m.Hidden, m.Ffn, true);
        yield return ("head", m.Vocabulary, m.Hidden, false);
    }

    static OpCase Case(DType w, DType x, int rows, int outer, int inner, bool add, bool bias, string? part = null) => new(
        $"{part ?? (bias ? "bias and residual" : "plain")} {rows} x {outer} x {inner}", [w, x],
        random =>
        [
            Fill.Weights(random, w, outer, inner), Fill.Rows(random, x, rows, inner),
            add ? Fill.Rows(random, DType.F32, rows, outer).InOut(1e-12) : Fill.Out(DType.F32, rows, outer, 1e-12),
            bias ? Fill.Vector(random, outer) : null, Fill.Ints(rows),
        ],
        (gpu, t) =>
        {
            if (add) gpu.MatMulAdd(t[W], t[X], t[Y], t[Bias], t[Count]);
            else gpu.MatMul(t[W], t[X], t[Y], t[Bias], t[Count]);
        }) { Work = Workload.Chunk(rows) };
}
