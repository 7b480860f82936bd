namespace Tessera.Shaders;

public static partial class GatherOp
{
    static Variant[] Vulkan => [new("Gather.f32", (_, _) => true, call => new Groups(call.Args<Args>().Wanted))];
}
