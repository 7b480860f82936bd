namespace Tessera.Shaders;

/// <summary>Per head of q and k: RMSNorm over the head, then rotation; q stays in place, k and v go to the KV cache.</summary>
/// <remarks>
/// qkv: F32 (tokens, (heads + 2 · kvHeads) · headDim) rows. qNorm, kNorm: F32 (1, headDim) packed.
/// rope: F32 (tokens, headDim) packed: headDim/2 cosines, then headDim/2 sines of the token's angles, YaRN's attention factor included.
/// The pair (i, i + headDim/2) turns: x'[i] = x[i]·c − x[i+h]·s, x'[i+h] = x[i+h]·c + x[i]·s.
/// slots: I32 (1, tokens) packed: block · 16 + place of the token in the cache; negative stores nothing. keys, values: F32, F16 or Q8, see
/// <see cref="KvBlock"/>.
/// </remarks>
public static partial class QkRopeOp
{
    public readonly record struct Args(int Tokens, int Heads, int KvHeads, int HeadDim, float Eps);

    public const int Qkv = 0, QNorm = 1, KNorm = 2, Rope = 3, Slots = 4, Keys = 5, Values = 6, Count = 7;

    public static readonly Kernel Kernel = new()
    {
        Name = "QkRope",
        Bindings = ["qkv:inout", "qNorm:in", "kNorm:in", "rope:in", "slots:in", "keys:inout", "values:inout", "count:in"],
        ArgBytes = 20,
        Units = call => call.Args<Args>().Tokens * (call.Args<Args>().Heads + 2 * call.Args<Args>().KvHeads),
        Bytes = Moved,
        Reference = Reference,
        Host = Host,
        Vulkan = Vulkan,
    };

    /// <summary>The heads of q and k in, those of q out; keys and values into the cache.</summary>
    static double Moved(Call call, Workload work)
    {
        var a = call.Args<Args>();
        double stored = 2.0 * a.KvHeads * KvBlock.HeadBytes(call.Tensors[Keys].Type, a.HeadDim) / KvBlock.Tokens;
        return Math.Min(work.Rows, a.Tokens) * (4.0 * a.HeadDim * (2 * a.Heads + 2 * a.KvHeads + 1) + stored);
    }

    extension(IRecorder gpu)
    {
        public void QkRope(Tensor qkv, Tensor qNorm, Tensor kNorm, Tensor rope, Tensor slots, Tensor keys, Tensor values, int heads, int kvHeads, float eps,
            Tensor count)
        {
            int headDim = qNorm.Cols;
            Shape.Require("QkRope", headDim % 32 == 0 && headDim <= AttentionOp.MaxHeadDim && qkv.Cols == (heads + 2 * kvHeads) * headDim
                && kNorm.Cols == headDim && rope.Cols == headDim
                && keys.Cols == headDim && values.Cols == headDim && keys.Type == values.Type,
                "qkv f32 (tokens, (heads + 2 kvHeads) · headDim), norms (1, headDim), rope (tokens, headDim), keys and values of one type", qkv, qNorm, kNorm,
                rope, keys, values);
            gpu.Launch(Kernel, new Args(qkv.RowCount, heads, kvHeads, headDim, eps), qkv, qNorm, kNorm, rope, slots, keys, values, count);
        }
    }
}
