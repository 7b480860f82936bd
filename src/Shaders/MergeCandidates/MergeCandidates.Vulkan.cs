namespace Tessera.Shaders;

public static partial class MergeCandidatesOp
{
    static Variant[] Vulkan => [new("MergeCandidates.f32", (_, _) => true, call => new Groups(call.Args<Args>().Rows))];
}
