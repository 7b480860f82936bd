using System.Diagnostics;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Ilgpu;

/// <summary>A GPU through CUDA or OpenCL. A recording is a list of prebound launches.</summary>
public sealed unsafe class IlgpuDevice : IDevice
{
    static readonly Lock driver = new();                     // drivers show no devices to one thread while another's first call prepares them

    const int PartBytes = 64 << 20;                          // copied at once

    readonly Context context;
    readonly Accelerator accelerator;
    readonly MemoryBuffer1D<byte, Stride1D.Dense> nothing;   // what a tensor that is not there is bound to
    readonly IlgpuTimeline timeline;
    double? bandwidth;

    IlgpuDevice(Context context, Device device, string name)
    {
        (this.context, Name) = (context, name);
        accelerator = device.CreateAccelerator(context);
        MaxAllocationBytes = device is CLDevice cl ? (long)Math.Min(long.MaxValue, cl.GetDeviceInfo<ulong>(CLDeviceInfoType.CL_DEVICE_MAX_MEM_ALLOC_SIZE))
            : long.MaxValue;
        nothing = accelerator.Allocate1D<byte>(64);
        timeline = new IlgpuTimeline(accelerator);
    }

    public string Name { get; }

    public string Description => accelerator.Name;

    /// <summary>The device's memory; ILGPU does not ask CUDA or OpenCL how much of it is free.</summary>
    public long FreeBytes => accelerator.MemorySize - Used;

    public long MaxAllocationBytes { get; }

    internal long Used { get; set; }

    public static DeviceCatalog.Backend Cuda { get; } = new("cuda", () => List("cuda", DeviceKind.Discrete), index => Open("cuda", index));

    public static DeviceCatalog.Backend OpenCl { get; } = new("opencl", () => List("opencl", DeviceKind.Integrated), index => Open("opencl", index));

    static IReadOnlyList<DeviceEntry> List(string prefix, DeviceKind kind)
    {
        using var context = Create(prefix, out string reason);
        var devices = context is null ? [] : Real(context);
        if (devices.Length == 0) return [new DeviceEntry(prefix, "none", DeviceKind.Null, reason)];
        const string Partial = "only the ops MatMul and Attention run on it yet, not whole models";
        return [.. devices.Select((d, i) => new DeviceEntry($"{prefix}:{i}", d.Name, Kind(d, kind), GetUnavailableReason(d) ?? Partial))];
    }

    /// <summary>A context always holds ILGPU's CPU debugger too; that is nobody's GPU.</summary>
    static Device[] Real(Context context) => [.. context.Devices.Where(d => d is CudaDevice or CLDevice)];

    static DeviceKind Kind(Device device, DeviceKind usual) => device is CLDevice { DeviceType: CLDeviceType.CL_DEVICE_TYPE_CPU } ? DeviceKind.Software : usual;

    static string? GetUnavailableReason(Device device) =>
        device is CLDevice { Capabilities.GenericAddressSpace: false } ? "its OpenCL has no generic address space" : null;

    static IlgpuDevice Open(string prefix, int index)
    {
        var context = Create(prefix, out string reason) ?? throw new TesseraException($"device '{prefix}:{index}': {reason}");
        var devices = Real(context);
        if (index >= devices.Length || GetUnavailableReason(devices[index]) is not null)
        {
            context.Dispose();
            string problem = devices.Length == 0 ? $"cannot be used: {reason}"
                : index >= devices.Length ? $"is not there: expected 0 to {devices.Length - 1}"
                : $"cannot be used: {GetUnavailableReason(devices[index])}";
            throw new TesseraException($"device '{prefix}:{index}' {problem}");
        }
        try { return new IlgpuDevice(context, devices[index], $"{prefix}:{index}"); }
        catch (Exception e) when (e is not TesseraException)
        {
            context.Dispose();
            throw new TesseraException($"device '{prefix}:{index}' cannot be used: {e.Message.Split('\n')[0]}", e);
        }
    }

    static Context? Create(string prefix, out string reason)
    {
        reason = prefix == "cuda" ? "there is no CUDA driver or device on this machine" : "there is no OpenCL driver or device on this machine";
        try
        {
            lock (driver)
                return Context.Create(builder =>
                {
                    builder.Optimize(OptimizationLevel.O2).EnableAlgorithms();
                    if (prefix == "cuda") builder.Cuda();
                    else builder.OpenCL(device => true);
                });
        }
        catch (Exception e)
            when (e is DllNotFoundException or NotSupportedException or TypeInitializationException or EntryPointNotFoundException or AcceleratorException)
        {
            reason = $"{reason} ({e.Message.Split('\n')[0]})";
            return null;
        }
    }

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
        new($"{Name}: {bytes >> 20} MiB were asked for, {FreeBytes >> 20} MiB of {accelerator.MemorySize >> 20} are free; "
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
        long start = System.Diagnostics.Stopwatch.GetTimestamp();
        launch();
        Wait();
        return System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds;
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

    /// <summary>The bodies, by op: an explicit list, so that nothing is looked up by reflection.</summary>
    Action Bind(Call call)
    {
        if (call.IsA16) throw new TesseraException($"[{call.Kernel.Name}] has no ILGPU body for activations in f16 yet; use f32");
        try
        {
            return call.Kernel.Name switch
            {
                "MatMul" => MatMulIlgpu.Bind(accelerator, call, t => View(t)),
                "Attention" => AttentionIlgpu.Bind(accelerator, call, t => View(t)),
                "StreamRead" => StreamReadIlgpu.Bind(accelerator, call, t => View(t)),
                "MultiplyAdd" => MultiplyAddIlgpu.Bind(accelerator, call, t => View(t)),
                _ => throw new TesseraException($"[{call.Kernel.Name}] has no body for CUDA and OpenCL yet; use --device host"),
            };
        }
        catch (Exception e) when (e is InternalCompilerException or NotSupportedException or AcceleratorException)
        {
            throw new TesseraException($"[{call.Kernel.Name}] does not compile for {Name} ({Description}): {e.Message.Split('\n')[0]}", e);
        }
    }

    ArrayView<byte> View(in Tensor tensor) =>
        tensor.IsNone ? nothing.View : ((IlgpuMemory)tensor.Memory!).Buffer.View.SubView(tensor.Offset, Math.Max(4, tensor.Bytes));
}

/// <summary>A buffer of CUDA or OpenCL; OpenCL has no addresses, so kernels get views.</summary>
sealed class IlgpuMemory : DeviceMemory
{
    readonly IlgpuDevice device;

    public IlgpuMemory(IlgpuDevice device, MemoryBuffer1D<byte, Stride1D.Dense> buffer, long bytes) : base(bytes)
    {
        (this.device, Buffer) = (device, buffer);
        device.Used += buffer.LengthInBytes;
    }

    public MemoryBuffer1D<byte, Stride1D.Dense> Buffer { get; }

    public override ulong Address => 0;

    public override void Dispose()
    {
        device.Used -= Buffer.LengthInBytes;
        Buffer.Dispose();
    }
}

/// <summary>The default stream of an accelerator. ILGPU does not tell how far it is, so a thread waits for it where somebody wants to know.</summary>
sealed class IlgpuTimeline(Accelerator accelerator) : Timeline
{
    long submitted, done;
    Task watch = Task.CompletedTask;

    public Completion Submitted() => new(this, ++submitted);

    public override bool IsDone(long number)
    {
        if (Volatile.Read(ref done) >= number) return true;
        if (watch.IsCompleted) watch = Task.Run(Wait);
        return false;
    }

    public override void Wait(long number)
    {
        if (Volatile.Read(ref done) < number) Wait();
    }

    public void Wait()
    {
        long all = Volatile.Read(ref submitted);
        accelerator.Synchronize();
        Volatile.Write(ref done, all);
    }
}

sealed class IlgpuRecording(Call[] calls, Action[] launches) : Recording(calls)
{
    public Action[] Launches { get; } = launches;
}
