namespace Tessera.Shaders;

public static partial class MatMulOp
{
    const int GroupTokens = 4;

    static Variant[] Vulkan =>
    [
        Of("q8.a8.dot", DType.Q8, DType.A8, f => f.IntegerDot),
        Of("q8.a8", DType.Q8, DType.A8, _ => true),
        Of("q8.f32", DType.Q8, DType.F32, _ => true),
        Of("f16.f32", DType.F16, DType.F32, _ => true),
        Of("bf16.f32", DType.BF16, DType.F32, _ => true),
        Of("f32.f32", DType.F32, DType.F32, _ => true),
    ];

    static Variant Of(string name, DType w, DType x, Func<Features, bool> needs) => new($"MatMul.{name}",
        (features, call) => call.Tensors[W].Type == w && call.Tensors[X].Type == x && needs(features),
        call => new Groups(Tile.Panels(call.Args<Args>().Outer), (call.Args<Args>().Tokens + GroupTokens - 1) / GroupTokens));
}
