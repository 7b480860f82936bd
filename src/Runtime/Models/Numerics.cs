using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>How activations and the KV cache are rounded.</summary>
public enum Numerics
{
    /// <summary>A8 activations against Q8 weights, F32 against exact weights; KV cache in F16.</summary>
    Fast,

    /// <summary>F32 activations and KV cache.</summary>
    Exact,
}

public static class NumericsTypes
{
    /// <summary>The type of activations that meet weights of a type.</summary>
    public static DType ActivationFor(this Numerics numerics, DType weights) => numerics == Numerics.Fast && weights == DType.Q8 ? DType.A8 : DType.F32;

    public static DType Cache(this Numerics numerics) => numerics == Numerics.Fast ? DType.F16 : DType.F32;
}
