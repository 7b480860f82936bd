using System.Diagnostics;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using Tessera.Runtime.Devices.Host;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Ilgpu;

/// <summary>A GPU through CUDA or OpenCL. A recording is a list of prebound launches, on CUDA replayed as a graph where that works.</summary>
public sealed unsafe partial class IlgpuDevice : IDevice
{
    const int PartBytes = 64 << 20;                          // copied at once

    readonly Context context;
    readonly Accelerator accelerator;
    readonly MemoryBuffer1D<byte, Stride1D.Dense> nothing;   // what a tensor that is not there is bound to
    readonly IlgpuTimeline timeline;
    CudaGraphs? graphs;                                      // null: launch by launch
    double? bandwidth;

    IlgpuDevice(Context context, Device device, string name)
    {
        (this.context, Name, Description) = (context, name, Describe(device));
        accelerator = device.CreateAccelerator(context);
        MaxAllocationBytes = device is CLDevice cl ? (long)Math.Min(long.MaxValue, cl.GetDeviceInfo<ulong>(CLDeviceInfoType.CL_DEVICE_MAX_MEM_ALLOC_SIZE))
            : long.MaxValue;
        nothing = accelerator.Allocate1D<byte>(64);
        timeline = new IlgpuTimeline(accelerator);
        if (accelerator is not CudaAccelerator) return;
        graphs = Probe(CudaGraphCalls.OfDriver(), out string? reason);
        if (graphs is null) Description += $", launch by launch: {reason}";
    }

    /// <summary>Graphs of launches, if they replay what was launched: two launches that add, captured once and replayed twice, add four.</summary>
    CudaGraphs? Probe(CudaGraphCalls? calls, out string? reason)
    {
        reason = "the driver has no graphs";
        if (calls is null) return null;
        using var sum = accelerator.Allocate1D<int>(1);
        sum.MemSetToZero();
        var add = accelerator.LoadStreamKernel<ArrayView<int>>(Add);
        accelerator.Synchronize();
        Action launch = () => add(new KernelConfig(1, 1), sum.View);
        var made = new CudaGraphs(calls, ((CudaStream)accelerator.DefaultStream).StreamPtr);
        nint twice = made.Capture([launch, launch], out reason);
        if (twice == 0) return null;
        try
        {
            made.Launch(twice);
            made.Launch(twice);
            accelerator.Synchronize();
            int total = sum.GetAsArray1D()[0];
            if (total == 4) return made;
            reason = $"a captured graph added {total}, expected 4";
        }
        catch (Exception e) when (e is TesseraException or AcceleratorException) { reason = e.Message.Split('\n')[0]; }
        finally { made.Destroy(twice); }
        return null;
    }

    static void Add(ArrayView<int> sum) => sum[0]++;

    public string Name { get; }

    public string Description { get; private set; }

    /// <summary>What the driver says is free; where it does not say, the device's memory without ours.</summary>
    public long FreeBytes => accelerator switch
    {
        CPUAccelerator => HostProcessor.FreeBytes,
        CudaAccelerator gpu => gpu.GetFreeMemory(),
        _ => FreeOfAmd ?? accelerator.MemorySize - Used,
    };

    /// <summary>AMD's OpenCL tells it in KiB.</summary>
    long? FreeOfAmd
    {
        get
        {
            const int FreeMemory = 0x4039;
            if (accelerator is not CLAccelerator { Device: var card } || !card.Extensions.Contains("cl_amd_device_attribute_query")) return null;
            var kilobytes = new nint[2]; // in all, and in one piece
            CLAPI.CurrentAPI.GetDeviceInfo(card.DeviceId, (CLDeviceInfoType)FreeMemory, kilobytes);
            return kilobytes[0] * 1024L;
        }
    }

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
        Action[] launches = [.. list.Calls.Select(Bind)];
        nint graph = 0;
        var by = graphs;
        if (by is not null && launches.Length > 0 && (graph = by.Capture(launches, out string? reason)) == 0)
        {
            graphs = null; // from here on
            Description += $", launch by launch: {reason}";
        }
        return new IlgpuRecording(list.Calls, launches, by, graph);
    }

    public Completion Submit(Recording recording)
    {
        ((IlgpuRecording)recording).Replay();
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

    /// <summary>Never less than 512 MiB: OpenCL does not tell of every cache.</summary>
    public long UncachedBytes => Math.Max(512 << 20, accelerator switch
    {
        CudaAccelerator gpu => 4L * gpu.L2CacheSize,
        CPUAccelerator or CLAccelerator { DeviceType: CLDeviceType.CL_DEVICE_TYPE_CPU } => HostProcessor.UncachedBytes,
        CLAccelerator { Device: var card } => 4 * (long)card.GetDeviceInfo<ulong>(CLDeviceInfoType.CL_DEVICE_GLOBAL_MEM_CACHE_SIZE),
        _ => 0,
    });

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
