using Tessera.Runtime.Devices;
using Tessera.Runtime.Devices.Host;
using Tessera.Shaders;

namespace Tessera.Runtime.Tests.Devices;

/// <summary>The host as another device: with so much memory, whose weights are copied, and which tells when it is handed work.</summary>
sealed unsafe class FakeDevice(string name, long free) : IDevice
{
    readonly HostDevice host = new(2);

    public Action? Submitting { get; init; }

    public List<DeviceMemory> Loaded { get; } = [];

    public bool Disposed { get; private set; }

    public string Name => name;

    public string Description => "made up";

    public long FreeBytes => free;

    public long MaxAllocationBytes { get; init; } = long.MaxValue;

    public List<long> Allocations { get; } = [];

    public long Allocated => Allocations.Sum();

    public DeviceMemory Allocate(long bytes, bool shared = false)
    {
        Allocations.Add(bytes);
        return host.Allocate(bytes, shared);
    }

    public DeviceMemory Load(byte* bytes, long count, Action<long>? copied = null)
    {
        var memory = host.Load(bytes, count);
        Loaded.Add(memory);
        copied?.Invoke(count / 2);
        copied?.Invoke(count - count / 2);
        return memory;
    }

    /// <summary>Bytes that were written to it.</summary>
    public long Written { get; private set; }

    public void Write(in Tensor to, ReadOnlySpan<byte> bytes)
    {
        Written += bytes.Length;
        host.Write(to, bytes);
    }

    public void Read(in Tensor from, Span<byte> bytes) => host.Read(from, bytes);

    public Recording Record(Action<IRecorder> page) => host.Record(page);

    public Completion Submit(Recording recording)
    {
        Submitting?.Invoke();
        return host.Submit(recording);
    }

    public void Wait() => host.Wait();

    public double[] Profile(Recording recording) => host.Profile(recording);

    public double Time(Recording recording) => host.Time(recording);

    public long UncachedBytes => host.UncachedBytes;

    public double MeasureBandwidth() => host.MeasureBandwidth();

    public void Dispose()
    {
        Disposed = true;
        host.Dispose();
    }
}
