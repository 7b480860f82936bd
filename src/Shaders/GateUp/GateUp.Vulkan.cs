namespace Tessera.Shaders;

public static partial class GateUpOp
{
    const int GroupTokens = 4;

    static Variant[] Vulkan =>
    [
        Of("q8.a8.a8.dot", DType.Q8, DType.A8, DType.A8, f => f.IntegerDot),
        Of("q8.a8.a8", DType.Q8, DType.A8, DType.A8, _ => true),
        Of("q8.a8.f32", DType.Q8, DType.A8, DType.F32, _ => true),
        .. new[] { DType.Q8, DType.F16, DType.BF16, DType.F32 }.SelectMany(w => new[] { DType.F32, DType.A8 }.Select(y => Of($"{w.Name()}.f32.{y.Name()}", w, DType.F32, y, _ => true))),
    ];

    static Variant Of(string name, DType w, DType x, DType y, Func<Features, bool> needs) => new($"GateUp.{name}",
        (features, call) => call.Tensors[W].Type == w && call.Tensors[X].Type == x && call.Tensors[Y].Type == y && needs(features),
        call => new Groups(Tile.Tiles(call.Args<Args>().Ffn), (call.Args<Args>().Tokens + GroupTokens - 1) / GroupTokens));
}
