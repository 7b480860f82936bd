using System.Diagnostics;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Host;

/// <summary>A device whose memory is the process's own: nothing is copied, and a submitted recording is done when <see cref="Submit"/> returns.</summary>
public abstract unsafe class InPlaceDevice : IDevice
{
    double? bandwidth;

    public abstract string Name { get; }

    public abstract string Description { get; }

    public long FreeBytes => HostProcessor.FreeBytes;

    public long MaxAllocationBytes => long.MaxValue;

    public DeviceMemory Allocate(long bytes, bool shared = false) => HostMemory.Allocate(bytes, FreeBytes);

    public DeviceMemory Load(byte* bytes, long count, Action<long>? copied = null) => HostMemory.Over(bytes, count);

    public void Write(in Tensor to, ReadOnlySpan<byte> bytes) => bytes.CopyTo(new Span<byte>((void*)to.Address, (int)Math.Min(to.Bytes, int.MaxValue)));

    public void Read(in Tensor from, Span<byte> bytes) => new ReadOnlySpan<byte>((void*)from.Address, bytes.Length).CopyTo(bytes);

    public Recording Record(Action<IRecorder> page)
    {
        var list = new CallList();
        page(list);
        return new HostRecording(list.Calls);
    }

    public abstract void Submit(Recording recording);

    public void Wait() { }

    public double[] Profile(Recording recording)
    {
        var seconds = new double[recording.Calls.Length];
        for (int i = 0; i < seconds.Length; i++)
        {
            using var one = new HostRecording([recording.Calls[i]]);
            long start = Stopwatch.GetTimestamp();
            Submit(one);
            seconds[i] = Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
        return seconds;
    }

    public double Time(Recording recording)
    {
        long start = Stopwatch.GetTimestamp();
        Submit(recording);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    public long UncachedBytes => HostProcessor.UncachedBytes;

    public double MeasureBandwidth() => bandwidth ??= Rulers.Bandwidth(this, UncachedBytes, StreamReadOp.HostPatterns);

    public abstract void Dispose();

    sealed class HostRecording(Call[] calls) : Recording(calls);
}
