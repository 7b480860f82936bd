namespace Tessera.Shaders;

public static partial class EmbedOp
{
    static Variant[] Vulkan => [Of(DType.Q8), Of(DType.Q4), Of(DType.F16), Of(DType.BF16), Of(DType.F32)];

    static Variant Of(DType table) =>
        new($"Embed.{table.Name()}", (_, call) => call.Tensors[Table].Type == table, call => new Groups(call.Args<Args>().Tokens));
}
