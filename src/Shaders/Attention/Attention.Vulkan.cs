namespace Tessera.Shaders;

public static partial class AttentionOp
{
    const int GroupHeads = 8;

    static Variant[] Vulkan => [Of("f16.f32", DType.F16, DType.F32), Of("f16.a8", DType.F16, DType.A8), Of("f32.f32", DType.F32, DType.F32), Of("f32.a8", DType.F32, DType.A8), Of("q8.f32", DType.Q8, DType.F32), Of("q8.a8", DType.Q8, DType.A8)];

    static Variant Of(string name, DType kv, DType y) => new($"Attention.{name}",
        (_, call) => call.Tensors[Keys].Type == kv && call.Tensors[Y].Type == y,
        call => new Groups(call.Args<Args>().Tokens, call.Args<Args>().KvHeads, (call.Args<Args>().Heads / call.Args<Args>().KvHeads + GroupHeads - 1) / GroupHeads));
}
