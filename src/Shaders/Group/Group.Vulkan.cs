namespace Tessera.Shaders;

public static partial class GroupOp
{
    static Variant[] Vulkan => [new("Group.i32", (_, _) => true, _ => new Shaders.Groups(1))];
}
