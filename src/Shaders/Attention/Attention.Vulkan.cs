namespace Tessera.Shaders;

public static partial class AttentionOp
{
    static Variant[] Vulkan =>
    [
        .. from kv in new[] { DType.F16, DType.F32, DType.Q8 }
           from y in new[] { DType.A8, DType.F32 }
           from shape in new[] { (2, 128), (4, 128), (8, 128), (4, MaxHeadDim) }
           select Of(kv, y, shape),
    ];

    /// <summary>Rows of a workgroup: the heads of a KV head, and where many tokens come at once, as many of these as fit. Where partials are left, a
    /// workgroup for each split.</summary>
    static Variant Of(DType kv, DType y, (int Rows, int Dim) max) => new($"Attention.{kv.Name()}.{y.Name()}.{max.Rows}x{max.Dim}",
        (_, call) => call.Tensors[Keys].Type == kv && call.Tensors[Y].Type == y && call.Args<Args>().HeadDim <= max.Dim
            && (max is (8, _) or (_, MaxHeadDim) || (call.Args<Args>().Tokens <= 16 && HeadsOfOne(call) <= max.Rows)),
        call => new Groups(call.Args<Args>().Tokens, call.Args<Args>().KvHeads,
            (HeadsOfOne(call) + max.Rows - 1) / max.Rows * Math.Max(1, call.Args<Args>().Splits)));

    static int HeadsOfOne(Call call) => call.Args<Args>().Heads / call.Args<Args>().KvHeads;
}
