using System.Diagnostics;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Host;

/// <summary>A device whose memory is the process's own: nothing is copied, and the threads of a <see cref="Team"/> compute.</summary>
public abstract unsafe class InPlaceDevice : IDevice
{
    readonly Team team;
    double? bandwidth;

    /// <param name="threads">Threads that compute, one that waits included.</param>
    /// <param name="body">The body of a kernel that they run.</param>
    private protected InPlaceDevice(int threads, Func<Kernel, Body> body) => team = new Team(threads, body);

    public abstract string Name { get; }

    public abstract string Description { get; }

    public long FreeBytes => HostProcessor.FreeBytes;

    public long MaxAllocationBytes => long.MaxValue;

    public DeviceMemory Allocate(long bytes, bool shared = false) => HostMemory.Allocate(bytes, FreeBytes, team);

    public DeviceMemory Load(byte* bytes, long count, Action<long>? copied = null) => HostMemory.Over(bytes, count, team);

    public void Write(in Tensor to, ReadOnlySpan<byte> bytes)
    {
        Wait(); // what runs may read it
        bytes.CopyTo(new Span<byte>((void*)to.Address, (int)Math.Min(to.Bytes, int.MaxValue)));
    }

    public void Read(in Tensor from, Span<byte> bytes)
    {
        Wait();
        new ReadOnlySpan<byte>((void*)from.Address, bytes.Length).CopyTo(bytes);
    }

    public Recording Record(Action<IRecorder> page)
    {
        var list = new CallList();
        page(list);
        var calls = list.Calls;
        foreach (var call in calls) Check(call);
        return new HostRecording(calls);
    }

    /// <exception cref="TesseraException">There is no body for the call.</exception>
    private protected virtual void Check(Call call) { }

    public Completion Submit(Recording recording) => team.Submit(recording.Calls);

    public void Wait() => team.Wait();

    public double[] Profile(Recording recording)
    {
        var seconds = new double[recording.Calls.Length];
        for (int i = 0; i < seconds.Length; i++)
        {
            using var one = new HostRecording([recording.Calls[i]]);
            seconds[i] = Time(one);
        }
        return seconds;
    }

    public double Time(Recording recording)
    {
        Wait();
        long start = Stopwatch.GetTimestamp();
        Submit(recording).Wait();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    public long UncachedBytes => HostProcessor.UncachedBytes;

    public double MeasureBandwidth() => bandwidth ??= Rulers.Bandwidth(this, UncachedBytes, StreamReadOp.HostPatterns, team.Threads);

    public void Dispose() => team.Dispose();

    sealed class HostRecording(Call[] calls) : Recording(calls);
}
