using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Shaders;

/// <summary>
/// y[u] = the sum of the words of unit u of x: how fast a device reads memory that no cache holds. A ruler: no model calls it, no catalogue lists it.
/// </summary>
/// <remarks>x: I32 (units, words) packed, words a multiple of <see cref="GpuUnitBytes"/> / 4. y: I32 (1, units) packed; sums wrap.</remarks>
public static unsafe partial class StreamReadOp
{
    /// <summary>What a workgroup of a GPU reads; on a CPU a unit is a multiple of it, as long as what is read lets it be.</summary>
    public const int GpuUnitBytes = 128 << 10;

    const int VisitBytes = 512, MaxStreams = 8; // the host's

    /// <param name="Units">Units of x.</param>
    /// <param name="UnitQuads">16-byte words of a unit.</param>
    /// <param name="Streams">On the host: parts of a unit that are read side by side: 1, 2, 4 or 8.</param>
    /// <param name="Ahead">On the host: bytes between what is read and what is prefetched; 0: no prefetch.</param>
    public readonly record struct Args(int Units, int UnitQuads, int Streams, int Ahead);

    public const int X = 0, Y = 1;

    public static readonly Kernel Kernel = new()
    {
        Name = "StreamRead",
        Bindings = ["x:in", "y:out"],
        ArgBytes = 16,
        Units = call => call.Args<Args>().Units,
        Bytes = (call, _) => call.Tensors[X].Bytes,
        Reference = Reference,
        Host = Host,
        Vulkan = [new("StreamRead.i32", (_, _) => true, call => new Groups(call.Args<Args>().Units))],
    };

    /// <summary>The ways of walking memory that the host tries: which is the fastest depends on the processor.</summary>
    public static readonly (int Streams, int Ahead)[] HostPatterns = [(1, 0), (2, 0), (4, 0), (8, 0), (1, 2048), (2, 2048)];

    extension(IRecorder gpu)
    {
        public void StreamRead(Tensor x, Tensor y, int streams, int ahead)
        {
            Shape.Require("StreamRead", x.Cols * 4 % GpuUnitBytes == 0 && y.Cols == x.RowCount && streams is 1 or 2 or 4 or MaxStreams && ahead >= 0,
                $"x i32 (units, a multiple of {GpuUnitBytes / 4}), y i32 (1, units)", x, y);
            gpu.Launch(Kernel, new Args(x.RowCount, x.Cols / 4, streams, ahead), x, y);
        }
    }

    static void Reference(Call call, int begin, int end)
    {
        int words = call.Args<Args>().UnitQuads * 4;
        for (int unit = begin; unit < end; unit++)
        {
            int sum = 0;
            foreach (int word in new ReadOnlySpan<int>(call.At<int>(X) + (long)unit * words, words)) sum += word;
            call.At<int>(Y)[unit] = sum;
        }
    }

    // Compiled at once: it runs too few times to be worth the tiers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        long unitBytes = a.UnitQuads * 16L, part = unitBytes / a.Streams;
        for (int unit = begin; unit < end; unit++)
        {
            byte* first = call.At<byte>(X) + unit * unitBytes;
            Vector512<int> s0 = default, s1 = default, s2 = default, s3 = default; // a single sum would be waited for
            for (long offset = 0; offset < part; offset += VisitBytes)
                for (byte* at = first + offset; at < first + unitBytes; at += part)
                {
                    if (a.Ahead > 0 && Sse.IsSupported)
                        for (int line = 0; line < VisitBytes; line += 64) Sse.Prefetch0(at + a.Ahead + line);
                    int* words = (int*)at;
                    s0 += Vector512.Load(words) + Vector512.Load(words + 16);
                    s1 += Vector512.Load(words + 32) + Vector512.Load(words + 48);
                    s2 += Vector512.Load(words + 64) + Vector512.Load(words + 80);
                    s3 += Vector512.Load(words + 96) + Vector512.Load(words + 112);
                }
            call.At<int>(Y)[unit] = Vector512.Sum((s0 + s1) + (s2 + s3));
        }
    }
}
