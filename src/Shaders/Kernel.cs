using System.Runtime.CompilerServices;

namespace Tessera.Shaders;

/// <summary>Computes the units [begin, end) of a recorded call. Units are independent, so a device may share them among threads in any order.</summary>
public delegate void Body(Call call, int begin, int end);

/// <summary>The contract of an op as devices see it: what is bound, how large the work is, and which bodies compute it.</summary>
/// <remarks>The ILGPU bodies are registered by name in Runtime.Ilgpu, so that this assembly needs no ILGPU.</remarks>
public sealed class Kernel
{
    public required string Name { get; init; }

    /// <summary>Names of the tensors in binding order, each with its use: "w:in", "x:in", "y:out", "y:inout".</summary>
    public required string[] Bindings { get; init; }

    /// <summary>The bindings that are rows of activations, of a type that <see cref="Rows"/> knows.</summary>
    public int[] Activations { get; init; } = [];

    /// <summary>Bytes of the argument struct; with 8 bytes per binding it must fit 128 bytes of push constants.</summary>
    public required int ArgBytes { get; init; }

    /// <summary>How many independent units a call has for the reference and host bodies.</summary>
    public required Func<Call, int> Units { get; init; }

    /// <summary>Bytes that a call has to move for so much work: what is read once and what is written once, however the bodies do it.</summary>
    public Func<Call, Workload, double> Bytes { get; init; } = (_, _) => 0;

    /// <summary>Floating-point operations of a call for so much work, where they are what takes the time.</summary>
    public Func<Call, Workload, double> Flops { get; init; } = (_, _) => 0;

    public required Body Reference { get; init; }

    public required Body Host { get; init; }

    /// <summary>Where weights are multiplied with A8: the bits that every body gives, whatever the device.</summary>
    public Body? Canonical { get; init; }

    /// <summary>Vulkan variants, best first: the first whose needs are met is taken.</summary>
    public Variant[] Vulkan { get; init; } = [];
}

/// <summary>How much of a call is real: a recording is made for a bucket of rows and the longest context, a step fills a part of them.</summary>
/// <param name="Rows">Rows that are real, cut by each call to its bound.</param>
/// <param name="Context">Tokens of the cache that are seen, over all sequences.</param>
/// <param name="Pairs">Pairs of a token and a token that it sees.</param>
/// <param name="PerToken">Experts of a token; 0 where there are none.</param>
public readonly record struct Workload(int Rows, long Context, long Pairs, int PerToken)
{
    /// <summary>All that a call is recorded for.</summary>
    public static readonly Workload Full = new(int.MaxValue, long.MaxValue, long.MaxValue, int.MaxValue);

    /// <summary>Rows that follow each other in one sequence, behind <paramref name="depth"/> tokens in the cache.</summary>
    public static Workload Chunk(int rows, int depth = 0, int perToken = 0) =>
        new(rows, depth + rows, (long)rows * depth + (long)rows * (rows + 1) / 2, perToken);

    /// <summary>The experts that so many rows are expected to choose among, where all are equally likely.</summary>
    public double DistinctExperts(int experts) => experts * (1 - Math.Pow(1 - Math.Min(1.0, (double)PerToken / experts), Rows));
}

/// <summary>Thread groups of a dispatch.</summary>
public readonly record struct Groups(int X, int Y = 1, int Z = 1);

/// <summary>What a Vulkan device can do, as far as the choice of a variant depends on it.</summary>
public readonly record struct Features(int SubgroupSize, bool IntegerDot);

/// <summary>One SPIR-V module of an op: spv/<paramref name="Shader"/>.spv, when it fits the device and the call, and the groups it needs.</summary>
public sealed record Variant(string Shader, Func<Features, Call, bool> Fits, Func<Call, Groups> Groups)
{
    /// <summary>What runs behind it in the same call and sees what it wrote: workgroups do not wait for each other. Null: nothing.</summary>
    public Variant? Then { get; init; }

    /// <summary>It and what runs behind it.</summary>
    public IEnumerable<Variant> Stages => Then is null ? [this] : [this, .. Then.Stages];
}

/// <summary>A kernel with its arguments and tensors bound: one node of a recording.</summary>
public sealed class Call
{
    readonly byte[] args;

    public Call(Kernel kernel, ReadOnlySpan<byte> args, ReadOnlySpan<Tensor> tensors)
    {
        if (args.Length != kernel.ArgBytes || tensors.Length != kernel.Bindings.Length)
            throw new TesseraException($"[{kernel.Name}] takes {kernel.ArgBytes} bytes of arguments and {kernel.Bindings.Length} tensors, "
                + $"was given {args.Length} and {tensors.Length}");
        Kernel = kernel;
        this.args = args.ToArray();
        Tensors = tensors.ToArray();
        Units = kernel.Units(this);
    }

    public Kernel Kernel { get; }

    public Tensor[] Tensors { get; }

    public int Units { get; }

    public ReadOnlySpan<byte> ArgBytes => args;

    /// <summary>Whether activations are A16, which only the definition computes with so far.</summary>
    public bool IsA16 => Array.Exists(Kernel.Activations, binding => Tensors[binding].Type == DType.F16);

    /// <summary>Bytes that the call has to move; GB/s are made of it.</summary>
    public double Bytes(Workload work) => Kernel.Bytes(this, work);

    /// <summary>Floating-point operations of the call.</summary>
    public double Flops(Workload work) => Kernel.Flops(this, work);

    /// <summary>Bytes of so many rows of a bound tensor.</summary>
    internal double RowBytes(int binding, long rows) =>
        Rows.Stride(Tensors[binding].Type, Tensors[binding].Cols) * (double)Math.Min(rows, Tensors[binding].RowCount);

    public ref readonly T Args<T>() where T : unmanaged => ref Unsafe.As<byte, T>(ref args[0]);

    /// <summary>The host address of a tensor, for the reference and host bodies.</summary>
    public unsafe T* At<T>(int binding) where T : unmanaged => (T*)Tensors[binding].Address;

    /// <summary>The rows that are real: the bucket's bound, cut to the count that lies in the I32 tensor at <paramref name="binding"/> (none: all).</summary>
    public unsafe int Count(int binding, int bound) => Tensors[binding].IsNone ? bound : Math.Min(bound, *At<int>(binding));
}
