using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Host;

/// <summary>The CPU: computes straight out of the mapped file, with SIMD bodies shared among the threads of a <see cref="Team"/>.</summary>
public sealed unsafe class HostDevice : IDevice
{
    readonly Team team;
    double bandwidth;

    /// <param name="threads">Threads that compute, the caller's included; 0: one per logical processor.</param>
    public HostDevice(int threads = 0)
    {
        team = new Team(threads > 0 ? threads : Environment.ProcessorCount);
        Description = Describe(team.Threads);
    }

    /// <summary>What the processor is called, with the threads that would be used (0: all).</summary>
    public static string Describe(int threads)
    {
        int used = threads > 0 ? threads : Environment.ProcessorCount;
        return $"{HostProcessor.Name}, {used} thread{(used == 1 ? "" : "s")}, {HostProcessor.Instructions}";
    }

    public string Name => "host";

    public string Description { get; }

    public long FreeBytes => HostProcessor.FreeBytes;

    public DeviceMemory Allocate(long bytes) => HostMemory.Allocate(bytes, FreeBytes);

    public DeviceMemory Load(byte* bytes, long count) => HostMemory.Over(bytes, count);

    public void Write(in Tensor to, ReadOnlySpan<byte> bytes) => bytes.CopyTo(new Span<byte>((void*)to.Address, checked((int)to.Bytes)));

    public void Read(in Tensor from, Span<byte> bytes) => new ReadOnlySpan<byte>((void*)from.Address, bytes.Length).CopyTo(bytes);

    public Segment Record(Action<IRecorder> page)
    {
        var list = new CallList();
        page(list);
        return new HostSegment(list.Calls);
    }

    public void Submit(Segment segment) => team.Run(segment.Calls);

    public void Wait() { }

    public double MeasureBandwidth() => bandwidth > 0 ? bandwidth : bandwidth = StreamRead.Measure(team);

    public void Dispose() => team.Dispose();
}

sealed class HostSegment(Call[] calls) : Segment(calls);
