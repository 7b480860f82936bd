using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Shaders;

/// <summary>
/// y[i] = Σ_c c: each of 12 chains starts at its number c and is multiplied and added to in registers, rounds times, by numbers that leave it as it was.
/// A ruler of arithmetic: no model calls it, no catalogue lists it.
/// </summary>
/// <remarks>
/// y: F32 (1, lanes) packed, x: F32 (1, 2) = 1, 0: a step is chain = chain · x0 + x1. y: I32 (1, lanes), x: I32 (1, 2) = 1, 0: a step is the product of the
/// chain's four bytes with those of x0, added to x1; the host's instruction adds to the chain instead. Compilers know neither number and can leave nothing out.
/// </remarks>
public static unsafe partial class MultiplyAddOp
{
    public const int Chains = 12, Group = 256, Unroll = 8;

    public readonly record struct Args(int Lanes, int Rounds);

    public const int X = 0, Y = 1;

    public static readonly Kernel Kernel = new()
    {
        Name = "MultiplyAdd",
        Bindings = ["x:in", "y:out"],
        ArgBytes = 8,
        Units = call => call.Args<Args>().Lanes / Group,
        Flops = (call, _) => (double)call.Args<Args>().Lanes * call.Args<Args>().Rounds * Chains * (IsFloat(call) ? 2 : 8),
        Reference = Reference,
        Host = Host,
        Vulkan =
        [
            new("MultiplyAdd.f32", (_, call) => IsFloat(call), Groups),
            new("MultiplyAdd.i8.dot", (features, call) => !IsFloat(call) && features.IntegerDot, Groups),
            new("MultiplyAdd.i8", (_, call) => !IsFloat(call), Groups),
        ],
    };

    extension(IRecorder gpu)
    {
        public void MultiplyAdd(Tensor x, Tensor y, int rounds)
        {
            Shape.Require("MultiplyAdd", x.Cols == 2 && x.Type == y.Type && y.Type is DType.F32 or DType.I32 && y.Cols % Group == 0 && rounds % Unroll == 0,
                $"x (1, 2), y (1, a multiple of {Group}), both f32 or i32, rounds a multiple of {Unroll}", x, y);
            gpu.Launch(Kernel, new Args(y.Cols, rounds), x, y);
        }
    }

    static bool IsFloat(Call call) => call.Tensors[Y].Type == DType.F32;

    static Groups Groups(Call call) => new(call.Args<Args>().Lanes / Group);

    static void Reference(Call call, int begin, int end)
    {
        int rounds = call.Args<Args>().Rounds;
        for (int lane = begin * Group; lane < end * Group; lane++)
            if (IsFloat(call))
            {
                float sum = 0;
                for (int c = 0; c < Chains; c++)
                {
                    float chain = c;
                    for (int r = 0; r < rounds; r++) chain = MathF.FusedMultiplyAdd(chain, call.At<float>(X)[0], call.At<float>(X)[1]);
                    sum += chain;
                }
                call.At<float>(Y)[lane] = sum;
            }
            else
            {
                int sum = 0;
                sbyte* x = call.At<sbyte>(X);
                for (int c = 0; c < Chains; c++)
                {
                    int chain = c;
                    for (int r = 0; r < rounds; r++)
                        chain = call.At<int>(X)[1]
                            + (sbyte)chain * x[0] + (sbyte)(chain >> 8) * x[1] + (sbyte)(chain >> 16) * x[2] + (sbyte)(chain >> 24) * x[3];
                    sum += chain;
                }
                call.At<int>(Y)[lane] = sum;
            }
    }

    static void Host(Call call, int begin, int end)
    {
        int rounds = call.Args<Args>().Rounds;
        for (long lane = (long)begin * Group; lane < (long)end * Group; lane += 16)
            if (IsFloat(call)) Floats(call.At<float>(X)[0], call.At<float>(X)[1], rounds).Store(call.At<float>(Y) + lane);
            else
                for (int half = 0; half < 2; half++) Bytes(call.At<int>(X)[0], call.At<int>(X)[1], rounds).Store(call.At<int>(Y) + lane + 8 * half);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static Vector512<float> Floats(float multiplier, float addend, int rounds)
    {
        Vector512<float> m = Vector512.Create(multiplier), n = Vector512.Create(addend);
        Vector512<float> a = Vector512.Create(0f), b = Vector512.Create(1f), c = Vector512.Create(2f), d = Vector512.Create(3f);
        Vector512<float> e = Vector512.Create(4f), f = Vector512.Create(5f), g = Vector512.Create(6f), h = Vector512.Create(7f);
        Vector512<float> i = Vector512.Create(8f), j = Vector512.Create(9f), k = Vector512.Create(10f), l = Vector512.Create(11f);
        for (int r = 0; r < rounds; r++)
        {
            (a, b, c) = (Vector512.FusedMultiplyAdd(a, m, n), Vector512.FusedMultiplyAdd(b, m, n), Vector512.FusedMultiplyAdd(c, m, n));
            (d, e, f) = (Vector512.FusedMultiplyAdd(d, m, n), Vector512.FusedMultiplyAdd(e, m, n), Vector512.FusedMultiplyAdd(f, m, n));
            (g, h, i) = (Vector512.FusedMultiplyAdd(g, m, n), Vector512.FusedMultiplyAdd(h, m, n), Vector512.FusedMultiplyAdd(i, m, n));
            (j, k, l) = (Vector512.FusedMultiplyAdd(j, m, n), Vector512.FusedMultiplyAdd(k, m, n), Vector512.FusedMultiplyAdd(l, m, n));
        }
        return a + b + c + d + e + f + g + h + i + j + k + l;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static Vector256<int> Bytes(int multiplier, int addend, int rounds)
    {
        Vector256<sbyte> m = Vector256.Create(multiplier).AsSByte(), n = Vector256.Create(addend).AsSByte();
        Vector256<int> a = Vector256.Create(0), b = Vector256.Create(1), c = Vector256.Create(2), d = Vector256.Create(3);
        Vector256<int> e = Vector256.Create(4), f = Vector256.Create(5), g = Vector256.Create(6), h = Vector256.Create(7);
        Vector256<int> i = Vector256.Create(8), j = Vector256.Create(9), k = Vector256.Create(10), l = Vector256.Create(11);
        for (int r = 0; r < rounds; r++)
        {
            (a, b, c) = (Dot(a, m, n), Dot(b, m, n), Dot(c, m, n));
            (d, e, f) = (Dot(d, m, n), Dot(e, m, n), Dot(f, m, n));
            (g, h, i) = (Dot(g, m, n), Dot(h, m, n), Dot(i, m, n));
            (j, k, l) = (Dot(j, m, n), Dot(k, m, n), Dot(l, m, n));
        }
        return a + b + c + d + e + f + g + h + i + j + k + l;
    }

    /// <summary>The instructions of the host's Q8 product: 4 bytes of m by 4 of n, added to a word.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector256<int> Dot(Vector256<int> sum, Vector256<sbyte> m, Vector256<sbyte> n)
    {
        if (AvxVnni.IsSupported) return AvxVnni.MultiplyWideningAndAdd(sum, m.AsByte(), n);
        if (Avx2.IsSupported) return sum + Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(m.AsByte(), n), Vector256<short>.One);
        if (Dp.IsSupported)
            return Vector256.Create(Dp.DotProduct(sum.GetLower(), m.GetLower(), n.GetLower()), Dp.DotProduct(sum.GetUpper(), m.GetUpper(), n.GetUpper()));
        for (int shift = 24; shift >= 0; shift -= 8)
            sum += Vector256.ShiftRightArithmetic(m.AsInt32() << shift, 24) * Vector256.ShiftRightArithmetic(n.AsInt32() << shift, 24);
        return sum;
    }
}
