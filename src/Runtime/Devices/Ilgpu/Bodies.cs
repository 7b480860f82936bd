using ILGPU;
using ILGPU.Runtime;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Ilgpu;

/// <summary>Binds a call: compiles its kernel, takes views of its tensors, and gives what launches it.</summary>
delegate Action BindBody(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view);

/// <summary>The bodies, by op: an explicit list, so that nothing is looked up by reflection.</summary>
static class Bodies
{
    public static readonly IReadOnlyDictionary<string, BindBody> All = new Dictionary<string, BindBody>
    {
        ["Embed"] = EmbedIlgpu.Bind,
        ["MatMul"] = MatMulIlgpu.Bind,
        ["GateUp"] = GateUpIlgpu.Bind,
        ["ExpertGateUp"] = ExpertGateUpIlgpu.Bind,
        ["ExpertDown"] = ExpertDownIlgpu.Bind,
        ["Attention"] = AttentionIlgpu.Bind,
        ["AttentionMerge"] = AttentionMergeIlgpu.Bind,
        ["RmsNorm"] = RmsNormIlgpu.Bind,
        ["QkRope"] = QkRopeIlgpu.Bind,
        ["Router"] = RouterIlgpu.Bind,
        ["Group"] = GroupIlgpu.Bind,
        ["Combine"] = CombineIlgpu.Bind,
        ["Gather"] = GatherIlgpu.Bind,
        ["Candidates"] = CandidatesIlgpu.Bind,
        ["MergeCandidates"] = MergeCandidatesIlgpu.Bind,
        ["StreamRead"] = StreamReadIlgpu.Bind,
        ["MultiplyAdd"] = MultiplyAddIlgpu.Bind,
    };
}
