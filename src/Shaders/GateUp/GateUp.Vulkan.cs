namespace Tessera.Shaders;

public static partial class GateUpOp
{
    static Variant[] Vulkan => Variants("GateUp", W, X, Y, call => new Groups(Tile.Tiles(call.Args<Args>().Ffn), Tile.TokenTiles(call.Args<Args>().Tokens)));

    /// <summary>The variants of gate and up, best first.</summary>
    internal static Variant[] Variants(string op, int w, int x, int y, Func<Call, Groups> groups)
    {
        Variant Of(string name, DType wType, DType xType, DType yType, Func<Features, bool> needs) => new($"{op}.{name}",
            (features, call) => call.Tensors[w].Type == wType && call.Tensors[x].Type == xType && call.Tensors[y].Type == yType && needs(features), groups);
        return
        [
            Of("q8.a8.a8.dot", DType.Q8, DType.A8, DType.A8, f => f.IntegerDot),
            Of("q8.a8.a8", DType.Q8, DType.A8, DType.A8, _ => true),
            Of("q8.a8.f32", DType.Q8, DType.A8, DType.F32, _ => true),
            Of("q4.a8.a8.dot", DType.Q4, DType.A8, DType.A8, f => f.IntegerDot),
            Of("q4.a8.a8", DType.Q4, DType.A8, DType.A8, _ => true),
            Of("q4.a8.f32", DType.Q4, DType.A8, DType.F32, _ => true),
            .. from type in new[] { DType.Q8, DType.Q4, DType.F16, DType.BF16, DType.F32 }
               from to in new[] { DType.F32, DType.A8 }
               select Of($"{type.Name()}.f32.{to.Name()}", type, DType.F32, to, _ => true),
        ];
    }
}
