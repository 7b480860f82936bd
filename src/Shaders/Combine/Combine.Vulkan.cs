namespace Tessera.Shaders;

public static partial class CombineOp
{
    static Variant[] Vulkan => [new("Combine.f32", (_, _) => true, call => new Groups(call.Args<Args>().Tokens))];
}
