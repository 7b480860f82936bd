namespace Tessera.Shaders;

public static partial class AttentionOp
{
    static Variant[] Vulkan => [];
}
