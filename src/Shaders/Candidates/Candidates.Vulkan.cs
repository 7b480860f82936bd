namespace Tessera.Shaders;

public static partial class CandidatesOp
{
    static Variant[] Vulkan =>
        [new("Candidates.f32", (_, _) => true, call => new Groups(Slices(call.Args<Args>().Vocabulary), call.Args<Args>().Rows))];
}
