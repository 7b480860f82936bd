using System.Diagnostics;
using System.Runtime.Intrinsics;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Host;

/// <summary>Measures how fast the team can read memory: sums a buffer much larger than the caches, the best of some passes.</summary>
static unsafe class StreamRead
{
    const int BlockBytes = 1 << 20, Blocks = 192, Passes = 6;

    static readonly Kernel kernel = new() { Name = "StreamRead", Bindings = ["x:in", "y:out"], ArgBytes = 4, Units = _ => Blocks, Reference = Sum, Host = Sum };

    public static double Measure(Team team)
    {
        using var memory = HostMemory.Allocate((long)BlockBytes * Blocks + 4096, long.MaxValue);
        new Span<byte>((void*)memory.Address, BlockBytes * Blocks).Fill(1); // real memory, not the shared page of zeros
        var call = new Call(kernel, [0, 0, 0, 0], [Tensor.Packed(memory, 0, DType.I32, Blocks, BlockBytes / 4), Tensor.Packed(memory, (long)BlockBytes * Blocks, DType.I32, 1, 1024)]);
        double best = double.MaxValue;
        for (int pass = 0; pass < Passes; pass++)
        {
            long start = Stopwatch.GetTimestamp();
            team.Run([call]);
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        return (double)BlockBytes * Blocks / best;
    }

    static void Sum(Call call, int begin, int end)
    {
        for (int block = begin; block < end; block++)
        {
            int* at = call.At<int>(0) + (long)block * (BlockBytes / 4);
            Vector512<int> a = default, b = default, c = default, d = default;
            for (int i = 0; i < BlockBytes / 4; i += 64)
            {
                a ^= Vector512.Load(at + i);
                b ^= Vector512.Load(at + i + 16);
                c ^= Vector512.Load(at + i + 32);
                d ^= Vector512.Load(at + i + 48);
            }
            call.At<int>(1)[block] = Vector512.Sum(a ^ b ^ c ^ d);
        }
    }
}
