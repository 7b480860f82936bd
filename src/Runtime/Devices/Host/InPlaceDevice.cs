using System.Diagnostics;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Host;

/// <summary>A device whose memory is the process's own: nothing is copied, and a submitted segment is done when <see cref="Submit"/> returns.</summary>
public abstract unsafe class InPlaceDevice : IDevice
{
    public abstract string Name { get; }

    public abstract string Description { get; }

    public long FreeBytes => HostProcessor.FreeBytes;

    public DeviceMemory Allocate(long bytes, bool shared = false) => HostMemory.Allocate(bytes, FreeBytes);

    public DeviceMemory Load(byte* bytes, long count) => HostMemory.Over(bytes, count);

    public void Write(in Tensor to, ReadOnlySpan<byte> bytes) => bytes.CopyTo(new Span<byte>((void*)to.Address, checked((int)to.Bytes)));

    public void Read(in Tensor from, Span<byte> bytes) => new ReadOnlySpan<byte>((void*)from.Address, bytes.Length).CopyTo(bytes);

    public Segment Record(Action<IRecorder> page)
    {
        var list = new CallList();
        page(list);
        return new HostSegment(list.Calls);
    }

    public abstract void Submit(Segment segment);

    public void Wait() { }

    public double[] Profile(Segment segment)
    {
        var seconds = new double[segment.Calls.Length];
        for (int i = 0; i < seconds.Length; i++)
        {
            using var one = new HostSegment([segment.Calls[i]]);
            long start = Stopwatch.GetTimestamp();
            Submit(one);
            seconds[i] = Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
        return seconds;
    }

    public abstract double MeasureBandwidth();

    public abstract void Dispose();

    sealed class HostSegment(Call[] calls) : Segment(calls);
}
