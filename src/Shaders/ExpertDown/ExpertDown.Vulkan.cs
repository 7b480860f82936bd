namespace Tessera.Shaders;

public static partial class ExpertDownOp
{
    static Variant[] Vulkan => MatMulOp.VariantsOf("ExpertDown", W, X, call =>
        new Shaders.Groups(Tile.Panels(call.Args<Args>().Outer), GroupOp.MaxTiles(call.Args<Args>().Pairs, call.Args<Args>().Experts)));
}
