using System.Diagnostics;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.OpenCL;
using Tessera.Runtime.Devices.Host;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Ilgpu;

/// <summary>A GPU through CUDA or OpenCL. A recording is a list of prebound launches.</summary>
public sealed unsafe partial class IlgpuDevice : IDevice
{
    const int PartBytes = 64 << 20;                          // copied at once

    readonly Context context;
    readonly Accelerator accelerator;
    readonly MemoryBuffer1D<byte, Stride1D.Dense> nothing;   // what a tensor that is not there is bound to
    readonly IlgpuTimeline timeline;
    double? bandwidth;

    IlgpuDevice(Context context, Device device, string name)
    {
        (this.context, Name, Description) = (context, name, Describe(device));
        accelerator = device.CreateAccelerator(context);
        MaxAllocationBytes = device is CLDevice cl ? (long)Math.Min(long.MaxValue, cl.GetDeviceInfo<ulong>(CLDeviceInfoType.CL_DEVICE_MAX_MEM_ALLOC_SIZE))
            : long.MaxValue;
        nothing = accelerator.Allocate1D<byte>(64);
        timeline = new IlgpuTimeline(accelerator);
    }

    public string Name { get; }

    public string Description { get; }

    /// <summary>The device's memory; ILGPU does not ask CUDA or OpenCL how much of it is free.</summary>
    public long FreeBytes => accelerator is CPUAccelerator ? HostProcessor.FreeBytes : accelerator.MemorySize - Used;

    public long MaxAllocationBytes { get; }

    internal long Used { get; set; }

    public DeviceMemory Allocate(long bytes, bool shared = false)
    {
        if (bytes > FreeBytes) throw Lacking(bytes);
        if (bytes > MaxAllocationBytes)
            throw new TesseraException($"{Name}: {bytes >> 20} MiB were asked for in one allocation, the device gives at most {MaxAllocationBytes >> 20} MiB; "
                + "use a shorter context or a smaller weight type");
        try
        {
            var memory = new IlgpuMemory(this, accelerator.Allocate1D<byte>(Math.Max(64, (bytes + 63) / 64 * 64)), bytes);
            memory.Buffer.MemSetToZero();
            return memory;
        }
        catch (Exception e) when (e is AcceleratorException or OutOfMemoryException) { throw Lacking(bytes, e); }
    }

    TesseraException Lacking(long bytes, Exception? e = null) =>
        new($"{Name}: {bytes >> 20} MiB were asked for, {FreeBytes >> 20} MiB are free; "
            + "use a shorter context or a smaller weight type", e);

    public DeviceMemory Load(byte* bytes, long count, Action<long>? copied = null)
    {
        var memory = (IlgpuMemory)Allocate(count);
        try
        {
            for (long at = 0; at < count; at += PartBytes)
            {
                int part = (int)Math.Min(PartBytes, count - at);
                memory.Buffer.View.SubView(at, part).CopyFromCPU(ref *(bytes + at), part);
                copied?.Invoke(part);
            }
            accelerator.Synchronize();
            return memory;
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    public void Write(in Tensor to, ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length == 0) return;
        fixed (byte* from = bytes) View(to).SubView(0, bytes.Length).CopyFromCPU(ref *from, bytes.Length);
        accelerator.Synchronize();
    }

    public void Read(in Tensor from, Span<byte> bytes)
    {
        if (bytes.Length == 0) return;
        fixed (byte* to = bytes) View(from).SubView(0, bytes.Length).CopyToCPU(ref *to, bytes.Length);
        accelerator.Synchronize();
    }

    public Recording Record(Action<IRecorder> page)
    {
        var list = new CallList();
        page(list);
        return new IlgpuRecording(list.Calls, [.. list.Calls.Select(Bind)]);
    }

    public Completion Submit(Recording recording)
    {
        foreach (var launch in ((IlgpuRecording)recording).Launches) launch();
        return timeline.Submitted();
    }

    public void Wait() => timeline.Wait();

    public double[] Profile(Recording recording) => [.. ((IlgpuRecording)recording).Launches.Select(launch =>
    {
        long start = Stopwatch.GetTimestamp();
        launch();
        Wait();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    })];

    public double Time(Recording recording)
    {
        Wait();
        long start = Stopwatch.GetTimestamp();
        Submit(recording);
        Wait();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    public long UncachedBytes => 512 << 20;

    public double MeasureBandwidth() => bandwidth ??= Rulers.Bandwidth(this, UncachedBytes, [(1, 0)]);

    public void Dispose()
    {
        Wait();
        nothing.Dispose();
        accelerator.Dispose();
        context.Dispose();
    }

    Action Bind(Call call)
    {
        if (call.IsA16) throw new TesseraException($"[{call.Kernel.Name}] has no ILGPU body for activations in f16 yet; use f32");
        try
        {
            return Bodies.All.TryGetValue(call.Kernel.Name, out var bind) ? bind(accelerator, call, t => View(t))
                : throw new TesseraException($"[{call.Kernel.Name}] has no ILGPU body yet; use --device host");
        }
        catch (Exception e) when (e is InternalCompilerException or NotSupportedException or AcceleratorException)
        {
            throw new TesseraException($"[{call.Kernel.Name}] does not compile for {Name} ({Description}): {e.Message.Split('\n')[0]}", e);
        }
    }

    ArrayView<byte> View(in Tensor tensor) =>
        tensor.IsNone ? nothing.View : ((IlgpuMemory)tensor.Memory!).Buffer.View.SubView(tensor.Offset, Math.Max(4, tensor.Bytes));
}
