namespace Tessera.Shaders;

public static partial class MatMulOp
{
    static Variant[] Vulkan => [];
}
