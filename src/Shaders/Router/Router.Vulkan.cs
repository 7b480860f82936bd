namespace Tessera.Shaders;

public static partial class RouterOp
{
    static Variant[] Vulkan => [Of("a8", DType.A8), Of("f32", DType.F32)];

    static Variant Of(string name, DType y) => new($"Router.{name}", (_, call) => call.Tensors[Y].Type == y, call => new Groups(call.Args<Args>().Tokens));
}
