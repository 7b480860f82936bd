namespace Tessera.Shaders;

static partial class Panel
{
    /// <summary>The variants of an op that multiplies panels with rows, best first.</summary>
    internal static Variant[] Variants(string op, int w, int x, Func<Call, Groups> groups)
    {
        Variant Of(string name, DType wType, DType xType, Func<Features, bool> needs) =>
            new($"{op}.{name}", (features, call) => call.Tensors[w].Type == wType && call.Tensors[x].Type == xType && needs(features), groups);
        return
        [
            Of("q8.a8.dot", DType.Q8, DType.A8, f => f.IntegerDot),
            Of("q8.a8", DType.Q8, DType.A8, _ => true),
            Of("q8.f32", DType.Q8, DType.F32, _ => true),
            Of("q4.a8.dot", DType.Q4, DType.A8, f => f.IntegerDot),
            Of("q4.a8", DType.Q4, DType.A8, _ => true),
            Of("q4.f32", DType.Q4, DType.F32, _ => true),
            Of("f16.f32", DType.F16, DType.F32, _ => true),
            Of("bf16.f32", DType.BF16, DType.F32, _ => true),
            Of("f32.f32", DType.F32, DType.F32, _ => true),
        ];
    }
}
