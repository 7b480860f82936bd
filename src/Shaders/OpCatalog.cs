namespace Tessera.Shaders;

/// <summary>An op: its contract with the bodies, and what it is tried with.</summary>
public sealed record Op(Kernel Kernel, OpCases Cases)
{
    public string Name => Kernel.Name;
}

/// <summary>All ops, in the order of the model page: what tests and the benchmark walk.</summary>
public static class OpCatalog
{
    public static readonly Op[] All =
    [
        new(EmbedOp.Kernel, EmbedOp.Cases),
        new(RmsNormOp.Kernel, RmsNormOp.Cases),
        new(MatMulOp.Kernel, MatMulOp.Cases),
        new(QkRopeOp.Kernel, QkRopeOp.Cases),
        new(AttentionOp.Kernel, AttentionOp.Cases),
        new(AttentionMergeOp.Kernel, AttentionMergeOp.Cases),
        new(GateUpOp.Kernel, GateUpOp.Cases),
        new(RouterOp.Kernel, RouterOp.Cases),
        new(GroupOp.Kernel, GroupOp.Cases),
        new(ExpertGateUpOp.Kernel, ExpertGateUpOp.Cases),
        new(ExpertDownOp.Kernel, ExpertDownOp.Cases),
        new(CombineOp.Kernel, CombineOp.Cases),
        new(GatherOp.Kernel, GatherOp.Cases),
        new(CandidatesOp.Kernel, CandidatesOp.Cases),
        new(MergeCandidatesOp.Kernel, MergeCandidatesOp.Cases),
    ];
}
