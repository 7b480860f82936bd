namespace Tessera.Shaders;

public static partial class ExpertGateUpOp
{
    static Variant[] Vulkan => GateUpOp.Variants("ExpertGateUp", W, X, Y, call =>
        new Shaders.Groups(Tile.Tiles(call.Args<Args>().Ffn),
            GroupOp.MaxTiles(call.Args<Args>().Tokens * call.Args<Args>().PerToken, call.Args<Args>().Experts)));
}
