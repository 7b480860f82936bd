using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Shaders;

/// <summary>
/// y[u] = the sum of the words of unit u of x: how fast a device reads memory that no cache holds. A ruler: no model calls it, no catalogue lists it.
/// </summary>
/// <remarks>x: I32 (units, <see cref="UnitBytes"/> / 4) packed. y: I32 (1, units) packed; sums wrap.</remarks>
public static unsafe partial class StreamReadOp
{
    public const int UnitBytes = 128 << 10;

    const int VisitBytes = 512, MaxStreams = 8;

    /// <param name="Units">Units of x.</param>
    /// <param name="UnitQuads">16-byte words of a unit.</param>
    /// <param name="Streams">On the host: units that a thread reads side by side, 1 to 8, as far from each other as x allows.</param>
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
            Shape.Require("StreamRead", x.Cols * 4 == UnitBytes && y.Cols == x.RowCount && streams is >= 1 and <= MaxStreams && ahead >= 0,
                $"x i32 (units, {UnitBytes / 4}), y i32 (1, units)", x, y);
            gpu.Launch(Kernel, new Args(x.RowCount, UnitBytes / 16, streams, ahead), x, y);
        }
    }

    static void Reference(Call call, int begin, int end)
    {
        for (int unit = begin; unit < end; unit++)
        {
            int sum = 0;
            foreach (int word in new ReadOnlySpan<int>(call.At<byte>(X) + (long)unit * UnitBytes, UnitBytes / 4)) sum += word;
            call.At<int>(Y)[unit] = sum;
        }
    }

    // Compiled at once: it runs too few times to be worth the tiers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        var sums = stackalloc Vector512<int>[MaxStreams];
        int* units = stackalloc int[MaxStreams];
        for (int unit = begin; unit < end; unit += a.Streams)
        {
            int streams = Math.Min(a.Streams, end - unit);
            for (int s = 0; s < streams; s++) (sums[s], units[s]) = (default, Far(unit + s, a));
            for (int offset = 0; offset < UnitBytes; offset += VisitBytes)
                for (int s = 0; s < streams; s++)
                {
                    byte* at = call.At<byte>(X) + (long)units[s] * UnitBytes + offset;
                    if (a.Ahead > 0 && Sse.IsSupported)
                        for (int line = 0; line < VisitBytes; line += 64) Sse.Prefetch0(at + a.Ahead + line);
                    int* words = (int*)at;
                    sums[s] += (Vector512.Load(words) + Vector512.Load(words + 16)) + (Vector512.Load(words + 32) + Vector512.Load(words + 48))
                        + ((Vector512.Load(words + 64) + Vector512.Load(words + 80)) + (Vector512.Load(words + 96) + Vector512.Load(words + 112)));
                }
            for (int s = 0; s < streams; s++) call.At<int>(Y)[units[s]] = Vector512.Sum(sums[s]);
        }
    }

    /// <summary>The unit that is read as the <paramref name="i"/>-th: every stream has a part of x to itself, since streams that lie near
    /// share banks of memory.</summary>
    static int Far(int i, in Args a)
    {
        int part = a.Units / a.Streams;
        return i < part * a.Streams ? i % a.Streams * part + i / a.Streams : i;
    }
}
