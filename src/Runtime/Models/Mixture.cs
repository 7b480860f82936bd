namespace Tessera.Runtime.Models;

/// <summary>Which matrices of a model have which type, where a type is asked for.</summary>
public static class Mixture
{
    /// <summary>The type of a matrix: with Q4, the feed-forward and the experts have it; embedding, head and attention stay Q8.</summary>
    public static DType TypeOf(string matrix, DType type) =>
        type == DType.Q4 && !(matrix.EndsWith("gate_up", StringComparison.Ordinal) || matrix.EndsWith("down", StringComparison.Ordinal)) ? DType.Q8 : type;
}
