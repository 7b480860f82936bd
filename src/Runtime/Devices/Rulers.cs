using System.Diagnostics;
using System.Runtime.InteropServices;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices;

/// <summary>What a device can do at most of one kind of arithmetic, in operations per second; a multiply-add is two.</summary>
public readonly record struct Peak(DType Type, string Arithmetic, double PerSecond);

/// <summary>The limits that percentages refer to, measured: many repeats in one recording, by the device's clock, the best of several.</summary>
public static class Rulers
{
    const double BandwidthSeconds = 1, PeakSeconds = 0.1, TrialSeconds = 0.01, ReplaySeconds = 0.01;
    const int Rounds = 2, MaxRepeats = 64, MaxLanes = 1 << 20, LongRounds = 2048;

    /// <summary>Bytes per second of reading memory that no cache holds; 0 where there is too little memory to tell.</summary>
    /// <param name="device">What is measured.</param>
    /// <param name="maxBytes">What is read, if there is so much; never less than the device's <see cref="IDevice.UncachedBytes"/>.</param>
    /// <param name="patterns">Ways of walking it, of which the fastest counts.</param>
    /// <param name="units">Parts that are read side by side; 0: as many as have the length that suits a GPU.</param>
    public static double Bandwidth(IDevice device, long maxBytes, ReadOnlySpan<(int Streams, int Ahead)> patterns, int units = 0)
    {
        for (long bytes = maxBytes; bytes >= device.UncachedBytes; bytes /= 2)
            try
            {
                if (bytes <= device.FreeBytes / 2) return BandwidthOf(device, bytes, patterns, units);
            }
            catch (Exception e) when (e is TesseraException and not DeviceLostException or OutOfMemoryException) { } // not so much
        return 0;
    }

    static double BandwidthOf(IDevice device, long bytes, ReadOnlySpan<(int Streams, int Ahead)> patterns, int units)
    {
        int pages = (int)(bytes / StreamReadOp.GpuUnitBytes), perUnit = Math.Max(1, units == 0 ? 1 : pages / units);
        units = pages / perUnit;
        bytes = (long)units * perUnit * StreamReadOp.GpuUnitBytes;
        using DeviceMemory data = device.Allocate(bytes), sums = device.Allocate(units * 4L);
        Tensor x = Tensor.Packed(data, 0, DType.I32, units, perUnit * (StreamReadOp.GpuUnitBytes / 4)), y = Tensor.Packed(sums, 0, DType.I32, 1, units);
        Touch(device, x);
        var recordings = new List<Recording>();
        try
        {
            foreach (var (streams, ahead) in patterns) recordings.Add(Repeated(device, gpu => gpu.StreamRead(x, y, streams, ahead)));
            return bytes / Best(device, recordings, BandwidthSeconds);
        }
        finally
        {
            foreach (var recording in recordings) recording.Dispose();
        }
    }

    /// <summary>
    /// Arithmetic in registers: F32, and the products of four bytes of which Q8 products are made. What a device has no body for is left out.
    /// </summary>
    public static IReadOnlyList<Peak> Peaks(IDevice device)
    {
        var peaks = new List<Peak>();
        using DeviceMemory operands = device.Allocate(64), results = device.Allocate(4L * MaxLanes);
        foreach (var (type, name) in new[] { (DType.F32, "F32 multiply-adds"), (DType.I32, "int8 dot products") })
        {
            var x = Tensor.Packed(operands, 0, type, 1, 2);
            ReadOnlySpan<int> numbers = [type == DType.F32 ? BitConverter.SingleToInt32Bits(1) : 1, 0];
            device.Write(x, MemoryMarshal.AsBytes(numbers));
            try { peaks.Add(new Peak(type, name, PerSecond(device, x, results, type))); }
            catch (TesseraException e) when (e is not DeviceLostException) { }
        }
        return peaks;
    }

    static double PerSecond(IDevice device, Tensor x, DeviceMemory results, DType type)
    {
        int lanes = MultiplyAddOp.Group * 16, rounds = MultiplyAddOp.Unroll;
        while (true) // first so long that starting a lane costs nothing beside it, then wide enough for any GPU, then long enough for its clock
        {
            using var recording = device.Record(gpu => gpu.MultiplyAdd(x, Tensor.Packed(results, 0, type, 1, lanes), rounds));
            double trial = Best(device, [recording], TrialSeconds);
            if (trial >= ReplaySeconds / 2) return recording.Calls[0].Flops(Workload.Full) / Math.Min(trial, Best(device, [recording], PeakSeconds));
            if (rounds < LongRounds || lanes == MaxLanes) rounds *= 4;
            else lanes *= 4;
        }
    }

    /// <summary>As often in one recording as makes it long enough for the device's clock.</summary>
    static Recording Repeated(IDevice device, Action<IRecorder> launch)
    {
        var once = device.Record(launch);
        device.Time(once); // compiles
        int repeats = (int)Math.Clamp(ReplaySeconds / device.Time(once), 1, MaxRepeats);
        if (repeats == 1) return once;
        once.Dispose();
        return device.Record(gpu =>
        {
            for (int i = 0; i < repeats; i++) launch(gpu);
        });
    }

    /// <summary>Seconds of a call in the fastest replay: all recordings in turn, twice at least, until the time is spent.</summary>
    static double Best(IDevice device, IReadOnlyList<Recording> recordings, double budget)
    {
        double best = double.MaxValue;
        long start = Stopwatch.GetTimestamp();
        for (int round = 0; round < Rounds || Stopwatch.GetElapsedTime(start).TotalSeconds < budget; round++)
            foreach (var recording in recordings) best = Math.Min(best, device.Time(recording) / recording.Calls.Length);
        return best;
    }

    /// <summary>Makes it memory of its own: what was never written may be one shared page.</summary>
    static void Touch(IDevice device, Tensor x)
    {
        var part = new byte[1 << 20];
        Array.Fill(part, (byte)1);
        for (long at = 0; at < x.Bytes; at += part.Length)
        {
            int count = (int)Math.Min(part.Length, x.Bytes - at);
            device.Write(x with { Offset = x.Offset + at, Bytes = count }, part.AsSpan(0, count));
        }
    }
}
