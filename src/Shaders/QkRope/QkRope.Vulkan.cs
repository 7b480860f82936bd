namespace Tessera.Shaders;

public static partial class QkRopeOp
{
    static Variant[] Vulkan => [Of("f16", DType.F16), Of("f32", DType.F32), Of("q8", DType.Q8)];

    static Variant Of(string name, DType kv) => new($"QkRope.{name}", (_, call) => call.Tensors[Keys].Type == kv,
        call => new Groups(call.Args<Args>().Tokens, call.Args<Args>().Heads + 2 * call.Args<Args>().KvHeads));
}
