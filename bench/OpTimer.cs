using System.Diagnostics;
using Tessera.Runtime.Devices;
using Tessera.Shaders;

namespace Tessera.Bench;

/// <summary>Times recorded calls: warm-up, then the median of batches.</summary>
static class OpTimer
{
    /// <summary>Seconds of one replay of a recording.</summary>
    public static double Seconds(IDevice device, Recording recording, int runs = 9)
    {
        int repeats = 1;
        double once;
        while (true) // long enough to measure, short enough to wait for
        {
            once = Timed(device, recording, repeats);
            if (once * repeats > 0.02 || repeats >= 1 << 14) break;
            repeats *= 2;
        }
        for (double warmed = 0; warmed < 0.3; warmed += once * repeats) once = Timed(device, recording, repeats);
        return Enumerable.Range(0, runs).Select(_ => Timed(device, recording, repeats)).Order().ElementAt(runs / 2);
    }

    static double Timed(IDevice device, Recording recording, int repeats)
    {
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < repeats; i++) device.Submit(recording);
        device.Wait();
        return Stopwatch.GetElapsedTime(start).TotalSeconds / repeats;
    }

    /// <summary>Operations per second of a product that stays in the caches: Q8 weights, A8 activations.</summary>
    public static double Peak(IDevice device)
    {
        const int Outer = 1024, Inner = 1024, Tokens = 128;
        var buffers = new OpBuffers(device);
        var (w, x, y) = (buffers.Weights(DType.Q8, Outer, Inner), buffers.Rows(DType.A8, Tokens, Inner), buffers.Rows(DType.F32, Tokens, Outer));
        using var recording = device.Record(gpu => gpu.MatMul(w, x, y, Tensor.None, Tensor.None));
        double seconds = Seconds(device, recording);
        buffers.Dispose();
        return 2.0 * Outer * Inner * Tokens / seconds;
    }
}
