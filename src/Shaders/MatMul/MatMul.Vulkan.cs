namespace Tessera.Shaders;

public static partial class MatMulOp
{
    static Variant[] Vulkan => Panel.Variants("MatMul", W, X, call =>
        new Groups(Tile.Panels(call.Args<Args>().Outer), Tile.TokenTiles(call.Args<Args>().Tokens)));
}
