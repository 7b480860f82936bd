using ILGPU.Runtime;

namespace Tessera.Shaders;

/// <summary>A kernel that is there in every form.</summary>
interface IOfForm<TKernel>
{
    TKernel Of<T>() where T : struct, IForm;
}

/// <summary>Which form a call is compiled in.</summary>
static class Forms
{
    public static TKernel Choose<TKernel>(this IOfForm<TKernel> kernel, Accelerator on, DType w, DType x, int tokens) => (w, x) switch
    {
        (DType.Q8, DType.A8) => Choose<TKernel, Q8A8>(kernel, on, tokens),
        (DType.Q4, DType.A8) => Choose<TKernel, Q4A8>(kernel, on, tokens),
        (DType.Q8, DType.F32) => Choose<TKernel, Q8F32>(kernel, on, tokens),
        (DType.Q4, DType.F32) => Choose<TKernel, Q4F32>(kernel, on, tokens),
        (DType.F16, DType.F32) => Choose<TKernel, F16F32>(kernel, on, tokens),
        (DType.BF16, DType.F32) => Choose<TKernel, BF16F32>(kernel, on, tokens),
        (DType.F32, DType.F32) => Choose<TKernel, F32F32>(kernel, on, tokens),
        _ => throw new TesseraException($"there is no ILGPU product of weights in {w.Name()} with activations in {x.Name()}; use f32"),
    };

    static TKernel Choose<TKernel, TTypes>(IOfForm<TKernel> kernel, Accelerator on, int tokens) where TTypes : struct, ITypes =>
        PanelIlgpu.IsCpu(on)
            ? tokens == 1 ? kernel.Of<Form<TTypes, One, Narrow>>() : kernel.Of<Form<TTypes, Four, Narrow>>()
            : tokens == 1 ? kernel.Of<Form<TTypes, One, Wide>>() : kernel.Of<Form<TTypes, Four, Wide>>();

    interface ITypes
    {
        int WordK { get; }
        bool IsF16 { get; }
        bool IsA8 { get; }
    }

    interface ITokens
    {
        int Count { get; }
    }

    interface IWidth
    {
        bool IsNarrow { get; }
    }

    readonly struct Form<TTypes, TTokens, TWidth> : IForm where TTypes : struct, ITypes where TTokens : struct, ITokens where TWidth : struct, IWidth
    {
        public int WordK => default(TTypes).WordK;
        public bool IsF16 => default(TTypes).IsF16;
        public bool IsA8 => default(TTypes).IsA8;
        public int Tokens => default(TTokens).Count;
        public bool IsNarrow => default(TWidth).IsNarrow;
    }

    readonly struct Q8A8 : ITypes { public int WordK => 4; public bool IsF16 => false; public bool IsA8 => true; }
    readonly struct Q4A8 : ITypes { public int WordK => 8; public bool IsF16 => false; public bool IsA8 => true; }
    readonly struct Q8F32 : ITypes { public int WordK => 4; public bool IsF16 => false; public bool IsA8 => false; }
    readonly struct Q4F32 : ITypes { public int WordK => 8; public bool IsF16 => false; public bool IsA8 => false; }
    readonly struct F16F32 : ITypes { public int WordK => 2; public bool IsF16 => true; public bool IsA8 => false; }
    readonly struct BF16F32 : ITypes { public int WordK => 2; public bool IsF16 => false; public bool IsA8 => false; }
    readonly struct F32F32 : ITypes { public int WordK => 1; public bool IsF16 => false; public bool IsA8 => false; }
    readonly struct One : ITokens { public int Count => 1; }
    readonly struct Four : ITokens { public int Count => Tile.Tokens; }
    readonly struct Wide : IWidth { public bool IsNarrow => false; }
    readonly struct Narrow : IWidth { public bool IsNarrow => true; }
}
