namespace Tessera.Shaders;

public static partial class ExpertDownOp
{
    static Variant[] Vulkan => Panel.Variants("ExpertDown", W, X, call =>
        new Shaders.Groups(Tile.Panels(call.Args<Args>().Outer), GroupOp.MaxTiles(call.Args<Args>().Pairs, call.Args<Args>().Experts)));
}
