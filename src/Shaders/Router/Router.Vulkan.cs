namespace Tessera.Shaders;

public static partial class RouterOp
{
    const int GroupExperts = 4; // whose logits a workgroup computes

    static Variant[] Vulkan => [Of("a8", DType.A8), Of("f32", DType.F32)];

    static Variant Of(string name, DType y) => new($"Router.logits.{name}", (_, call) => call.Tensors[Y].Type == y,
        call => new Groups((call.Args<Args>().Experts + GroupExperts - 1) / GroupExperts, call.Args<Args>().Tokens))
    {
        Then = new Variant("Router.choose", (_, _) => true, call => new Groups(call.Args<Args>().Tokens)),
    };
}
