using Tessera.Runtime.Devices.Host;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Reference;

/// <summary>The definition: every op by its scalar reference body, on one thread. Slow, and right.</summary>
public sealed unsafe class ReferenceDevice : IDevice
{
    public string Name => "reference";

    public string Description => "scalar reference bodies, 1 thread";

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

    public void Submit(Segment segment)
    {
        foreach (var call in segment.Calls) call.Kernel.Reference(call, 0, call.Units);
    }

    public void Wait() { }

    public double MeasureBandwidth()
    {
        using var team = new Team(1);
        return StreamRead.Measure(team);
    }

    public void Dispose() { }
}
