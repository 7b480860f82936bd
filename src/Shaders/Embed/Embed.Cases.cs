namespace Tessera.Shaders;

public static partial class EmbedOp
{
    public static OpCases Cases => new(
        [
            .. from type in OpCases.WeightTypes
               from shape in OpCases.RowShapes
               select Case(type, shape.Rows, 53, shape.Dim, outside: true),
        ],
        [Case(DType.Q8, 17, 53, 160, outside: false)],
        (model, types) => from rows in OpCases.TimedRows select Case(types.Weights, rows, model.Vocabulary, model.Hidden, outside: false));

    static OpCase Case(DType type, int rows, int vocabulary, int dim, bool outside) => new($"{rows} of {vocabulary} x {dim}", [type], random =>
    {
        int[] ids = [.. Enumerable.Range(0, rows).Select(_ => random.Next(vocabulary))];
        if (outside && rows > 2) (ids[0], ids[1]) = (-1, vocabulary);
        return [Fill.Ints(ids), Fill.Weights(random, type, vocabulary, dim).Share(), Fill.Out(DType.F32, rows, dim, bound: 0), Fill.Ints(rows)];
    }, (gpu, t) => gpu.Embed(t[Ids], t[Table], t[X], t[Count])) { Work = Workload.Chunk(rows) };
}
