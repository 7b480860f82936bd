namespace Tessera.Shaders;

public static partial class AttentionMergeOp
{
    const int WorkgroupWords = 64; // of 4 numbers

    static Variant[] Vulkan => [Of("a8", DType.A8), Of("f32", DType.F32)];

    static Variant Of(string name, DType y) => new($"AttentionMerge.{name}", (_, call) => call.Tensors[Y].Type == y,
        call => new Groups(call.Args<Args>().Tokens, (call.Args<Args>().Heads * call.Args<Args>().HeadDim / 4 + WorkgroupWords - 1) / WorkgroupWords));
}
