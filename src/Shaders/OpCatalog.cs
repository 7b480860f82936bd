namespace Tessera.Shaders;

/// <summary>All ops, in the order of the model page: what tests and the benchmark walk.</summary>
public static class OpCatalog
{
    public static readonly Kernel[] All =
    [
        EmbedOp.Kernel, RmsNormOp.Kernel, MatMulOp.Kernel, QkRopeOp.Kernel, AttentionOp.Kernel, GateUpOp.Kernel,
        RouterOp.Kernel, GroupOp.Kernel, ExpertGateUpOp.Kernel, ExpertDownOp.Kernel, CombineOp.Kernel, GatherOp.Kernel, CandidatesOp.Kernel,
    ];
}
