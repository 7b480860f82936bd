using Tessera.Shaders;

namespace Tessera;

/// <summary>How activations and the KV cache are rounded.</summary>
public enum Numerics
{
    /// <summary>A8 activations against quantised weights, F32 against exact weights; KV cache in F16.</summary>
    Fast,

    /// <summary>F32 activations and KV cache.</summary>
    Exact,
}

/// <summary>How keys and values are kept in the cache.</summary>
public enum CacheType
{
    F32,
    F16,

    /// <summary>32 dimensions of a token share an F32 scale: a little over half of F16.</summary>
    Q8,
}

public static class NumericsTypes
{
    /// <summary>The type of activations that meet weights of a type.</summary>
    public static DType ActivationFor(this Numerics numerics, DType weights) => 
        numerics == Numerics.Fast && WeightFormat.Of(weights).IsQuantised ? DType.A8 : DType.F32;

    public static DType Cache(this Numerics numerics) => numerics == Numerics.Fast ? DType.F16 : DType.F32;

    public static DType Cache(this CacheType type) => type switch
    {
        CacheType.F32 => DType.F32,
        CacheType.F16 => DType.F16,
        CacheType.Q8 => DType.Q8,
        _ => throw new TesseraException($"cache type {(int)type}: expected F32, F16 or Q8"),
    };
}
