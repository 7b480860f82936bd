using System.Runtime.InteropServices;
using Tessera.Runtime.Devices;
using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>The rulers read all that they claim to read, and compute all that they claim to compute.</summary>
public class RulerTests
{
    public static TheoryData<string> Devices => TestDevices.Names;

    [Theory, MemberData(nameof(Devices))]
    public void Every_byte_is_read_in_every_pattern(string name)
    {
        foreach (int pages in new[] { 1, 3 }) Read(name, pages * StreamReadOp.GpuUnitBytes / 4);
    }

    static void Read(string name, int length)
    {
        const int Units = 5;
        var words = new int[Units * length];
        new Random(1).NextBytes(MemoryMarshal.AsBytes(words.AsSpan()));
        int[] expected = [.. Enumerable.Range(0, Units).Select(u => words.AsSpan(u * length, length).ToArray().Aggregate(0, (a, b) => unchecked(a + b)))];
        using var device = TestDevices.Open(name);
        using DeviceMemory data = device.Allocate(words.Length * 4L), sums = device.Allocate(Units * 4);
        Tensor x = Tensor.Packed(data, 0, DType.I32, Units, length), y = Tensor.Packed(sums, 0, DType.I32, 1, Units);
        device.Write(x, MemoryMarshal.AsBytes<int>(words));
        foreach (var (streams, ahead) in StreamReadOp.HostPatterns)
        {
            using var recording = device.Record(gpu => gpu.StreamRead(x, y, streams, ahead));
            device.Write(y, new byte[Units * 4]);
            device.Submit(recording);
            var found = new int[Units];
            device.Read(y, MemoryMarshal.AsBytes(found.AsSpan()));
            Assert.Equal(expected, found);
        }
    }

    [Theory, MemberData(nameof(Devices))]
    public void Every_chain_is_computed(string name)
    {
        const int Lanes = 3 * MultiplyAddOp.Group;
        using var device = TestDevices.Open(name);
        using DeviceMemory operands = device.Allocate(8), results = device.Allocate(4 * Lanes);
        int sum = Enumerable.Range(0, MultiplyAddOp.Chains).Sum();
        foreach (var type in new[] { DType.F32, DType.I32 })
        {
            if (type == DType.I32 && (name.StartsWith("opencl") || name.StartsWith("cuda"))) continue; // ILGPU has no name for it
            Tensor x = Tensor.Packed(operands, 0, type, 1, 2), y = Tensor.Packed(results, 0, type, 1, Lanes);
            device.Write(x, MemoryMarshal.AsBytes<int>([type == DType.F32 ? BitConverter.SingleToInt32Bits(1) : 1, 0]));
            device.Write(y, new byte[4 * Lanes]);
            using var recording = device.Record(gpu => gpu.MultiplyAdd(x, y, 2 * MultiplyAddOp.Unroll));
            var done = device.Submit(recording);
            Assert.True(SpinWait.SpinUntil(() => done.IsDone, TimeSpan.FromSeconds(60)), "polled for a minute"); // with nobody that waits
            device.Submit(recording).Wait();
            var found = new int[Lanes];
            device.Read(y, MemoryMarshal.AsBytes(found.AsSpan()));
            Assert.All(found, v => Assert.Equal(type == DType.F32 ? BitConverter.SingleToInt32Bits(sum) : sum, v));
            var call = recording.Calls[0];
            Assert.Equal(2.0 * Lanes * MultiplyAddOp.Chains * MultiplyAddOp.Unroll * (type == DType.F32 ? 2 : 8), call.Kernel.Flops(call, Workload.Full));
        }
    }

    [Theory, MemberData(nameof(Devices))]
    public void What_is_measured_is_what_a_machine_can_do(string name)
    {
        using var device = TestDevices.Open(name);
        Assert.InRange(device.MeasureBandwidth(), 1, 1e16);
        var peaks = Rulers.Peaks(device);
        Assert.Equal("F32 multiply-adds", peaks[0].Arithmetic);
        Assert.All(peaks, p => Assert.InRange(p.PerSecond, 1, 1e19));
    }

    [Fact]
    public void Where_memory_is_short_nothing_is_measured()
    {
        using var device = TestDevices.Open("host");
        using var small = new SmallDevice(device, free: device.UncachedBytes);
        Assert.Equal(0, Rulers.Bandwidth(small, device.UncachedBytes, StreamReadOp.HostPatterns));
        using var refusing = new SmallDevice(device, free: 8 * device.UncachedBytes);
        Assert.Equal(0, Rulers.Bandwidth(refusing, 4 * device.UncachedBytes, StreamReadOp.HostPatterns));
        Assert.Equal([4, 2, 1], refusing.Requested.Select(bytes => bytes / device.UncachedBytes));
    }

    /// <summary>A device that claims some free memory and gives none.</summary>
    sealed class SmallDevice(IDevice device, long free) : IDevice
    {
        public List<long> Requested { get; } = [];

        public string Name => device.Name;

        public string Description => device.Description;

        public long FreeBytes => free;

        public long MaxAllocationBytes => device.MaxAllocationBytes;

        public long UncachedBytes => device.UncachedBytes;

        public DeviceMemory Allocate(long bytes, bool shared = false)
        {
            Requested.Add(bytes);
            throw new TesseraException("no memory");
        }

        public unsafe DeviceMemory Load(byte* bytes, long count, Action<long>? copied = null) => device.Load(bytes, count);

        public void Write(in Tensor to, ReadOnlySpan<byte> bytes) => device.Write(to, bytes);

        public void Read(in Tensor from, Span<byte> bytes) => device.Read(from, bytes);

        public Recording Record(Action<IRecorder> page) => device.Record(page);

        public Completion Submit(Recording recording) => device.Submit(recording);

        public void Wait() => device.Wait();

        public double[] Profile(Recording recording) => device.Profile(recording);

        public double Time(Recording recording) => device.Time(recording);

        public double MeasureBandwidth() => device.MeasureBandwidth();

        public void Dispose() { }
    }
}
