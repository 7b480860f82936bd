using System.Diagnostics;
using System.Runtime.InteropServices;
using Silk.NET.Vulkan;
using Tessera.Shaders;
using DeviceMemory = Tessera.Shaders.DeviceMemory;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>A GPU through Vulkan 1.2. Segments are command buffers recorded once and submitted many times, one in flight.</summary>
public sealed unsafe partial class VulkanDevice : IDevice
{
    readonly VulkanInstance instance;
    readonly Queue queue;
    readonly CommandPool pool;
    readonly Fence fence;
    bool busy;
    double bandwidth;

    VulkanDevice(VulkanInstance instance, VulkanProbe probe, int index, string? cacheFolder)
    {
        (this.instance, Probe, Name, Api) = (instance, probe, $"vulkan:{index}", instance.Api);
        Handle = Create(Api, probe, statistics: false);
        Api.GetDeviceQueue(Handle, probe.ComputeFamily, 0, out queue);
        var poolInfo = new CommandPoolCreateInfo { SType = StructureType.CommandPoolCreateInfo, QueueFamilyIndex = probe.ComputeFamily, Flags = CommandPoolCreateFlags.ResetCommandBufferBit };
        Api.CreateCommandPool(Handle, in poolInfo, null, out pool).Check();
        var fenceInfo = new FenceCreateInfo { SType = StructureType.FenceCreateInfo };
        Api.CreateFence(Handle, in fenceInfo, null, out fence).Check();
        Pipelines = new VulkanPipelines(Api, Handle, probe, cacheFolder ?? VulkanPipelineCache.Folder);
        blocks = new VulkanSuballocator(this);
    }

    public string Name { get; }

    public string Description => Probe.Description;

    internal Vk Api { get; }

    internal Device Handle { get; }

    internal VulkanProbe Probe { get; }

    internal VulkanPipelines Pipelines { get; }

    /// <summary>What the validation layers complained about in this process; they are on where TESSERA_VALIDATION is 1.</summary>
    public static IReadOnlyList<string> ValidationMessages => VulkanInstance.ValidationMessages;

    /// <summary>The catalogue's entry for this backend.</summary>
    public static DeviceCatalog.Backend Backend { get; } = new("vulkan", List, index => Open(index));

    static IReadOnlyList<DeviceEntry> List()
    {
        using var instance = VulkanInstance.Create(out string reason);
        if (instance is null) return [new DeviceEntry("vulkan", "none", DeviceKind.Null, reason)];
        return [.. instance.PhysicalDevices().Select((handle, i) =>
        {
            var probe = new VulkanProbe(instance.Api, handle);
            return new DeviceEntry($"vulkan:{i}", probe.Description, probe.Kind, probe.UnavailableReason);
        })];
    }

    /// <summary>Opens a device; what may be given otherwise is for tests.</summary>
    /// <param name="cacheFolder">Where its pipelines are kept.</param>
    /// <param name="staged">As if the host saw none of its memory.</param>
    /// <param name="features">As if it had these. Shaders for 32 lanes pass nothing on but among 8, those for 4 among 4, so that a device of 8 runs both.</param>
    internal static VulkanDevice Open(int index, string? cacheFolder = null, bool staged = false, Features? features = null)
    {
        var instance = VulkanInstance.Create(out string reason) ?? throw new TesseraException($"device 'vulkan:{index}': {reason}");
        try
        {
            var devices = instance.PhysicalDevices();
            if (index >= devices.Length) throw new TesseraException($"device 'vulkan:{index}': expected 0 to {devices.Length - 1}, this machine has {devices.Length} Vulkan devices");
            var probe = new VulkanProbe(instance.Api, devices[index]);
            if (probe.UnavailableReason is not null) throw new TesseraException($"device 'vulkan:{index}' ({probe.Name}) cannot be used: {probe.UnavailableReason}");
            probe.Features = features ?? probe.Features;
            return new VulkanDevice(instance, probe, index, cacheFolder) { Staged = staged };
        }
        catch
        {
            instance.Dispose();
            throw;
        }
    }

    public Recording Record(Action<IRecorder> page)
    {
        var list = new CallList();
        page(list);
        return new VulkanRecording(this, list.Calls);
    }

    public void Submit(Recording recording) => Submit(((VulkanRecording)recording).Commands);

    /// <summary>How often the queue was handed work, copies included.</summary>
    internal long Submissions { get; private set; }

    /// <summary>For tests: what the next submission returns instead of being made.</summary>
    internal Result? Injected { get; set; }

    public void Wait()
    {
        if (!busy) return;
        busy = false;
        WaitFor(fence);
        var waited = fence;
        Api.ResetFences(Handle, 1, in waited).Check();
    }

    public double MeasureBandwidth()
    {
        if (bandwidth > 0) return bandwidth;
        // A product of one token reads its weights once; 64 MiB of BF16 do not stay in a cache.
        const int Outer = 16384, Inner = 2048;
        using DeviceMemory w = Allocate(Tile.Bytes(DType.BF16, Outer, Inner)), x = Allocate(Rows.Bytes(DType.F32, 1, Inner)), y = Allocate(Rows.Bytes(DType.F32, 1, Outer));
        using var recording = Record(gpu => gpu.MatMul(Tensor.Weights(w, 0, DType.BF16, Outer, Inner), Tensor.OfRows(x, 0, DType.F32, 1, Inner), Tensor.OfRows(y, 0, DType.F32, 1, Outer), Tensor.None, Tensor.None));
        double best = double.MaxValue;
        for (int pass = 0; pass < 4; pass++)
        {
            long start = Stopwatch.GetTimestamp();
            Submit(recording);
            Wait();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        return bandwidth = w.Bytes / best;
    }

    public void Dispose()
    {
        Wait();
        staging?.Dispose();
        Pipelines.Dispose();
        Api.DestroyFence(Handle, fence, null);
        Api.DestroyCommandPool(Handle, pool, null);
        Api.DestroyDevice(Handle, null);
        instance.Dispose();
    }

    internal CommandBuffer Commands()
    {
        var info = new CommandBufferAllocateInfo { SType = StructureType.CommandBufferAllocateInfo, CommandPool = pool, Level = CommandBufferLevel.Primary, CommandBufferCount = 1 };
        Api.AllocateCommandBuffers(Handle, in info, out var commands).Check();
        return commands;
    }

    internal void Free(CommandBuffer commands) => Api.FreeCommandBuffers(Handle, pool, 1, in commands);

    /// <summary>All earlier work is done and seen by all later work.</summary>
    internal void Barrier(CommandBuffer commands)
    {
        const PipelineStageFlags Stages = PipelineStageFlags.ComputeShaderBit | PipelineStageFlags.TransferBit;
        var barrier = new MemoryBarrier
        {
            SType = StructureType.MemoryBarrier, SrcAccessMask = AccessFlags.ShaderWriteBit | AccessFlags.TransferWriteBit,
            DstAccessMask = AccessFlags.ShaderReadBit | AccessFlags.ShaderWriteBit | AccessFlags.TransferReadBit | AccessFlags.TransferWriteBit | AccessFlags.HostReadBit,
        };
        Api.CmdPipelineBarrier(commands, Stages, Stages | PipelineStageFlags.HostBit, 0, 1, in barrier, 0, null, 0, null);
    }

    public double[] Profile(Recording recording) => ((VulkanRecording)recording).Profile();

    public double Time(Recording recording) => ((VulkanRecording)recording).Time();

    /// <summary>In order, the fence behind the last.</summary>
    internal void Submit(ReadOnlySpan<CommandBuffer> commands)
    {
        Wait();
        for (int i = 0; i < commands.Length; i++)
            Enqueue(commands[i], i == commands.Length - 1 ? fence : default);
        busy = true;
    }

    /// <summary>Gives the queue one command buffer; <paramref name="done"/> tells when it is done.</summary>
    internal void Enqueue(CommandBuffer commands, Fence done)
    {
        var info = new SubmitInfo { SType = StructureType.SubmitInfo, CommandBufferCount = 1, PCommandBuffers = &commands };
        var result = Injected ?? Api.QueueSubmit(queue, 1, in info, done);
        Injected = null;
        Lost(result);
        result.Check("vkQueueSubmit");
        Submissions++;
    }

    internal void WaitFor(Fence done)
    {
        var result = Api.WaitForFences(Handle, 1, in done, true, ulong.MaxValue);
        Lost(result);
        result.Check("vkWaitForFences");
    }

    void Lost(Result result)
    {
        if (result == Result.ErrorDeviceLost)
            throw new DeviceLostException($"{Name} ({Probe.Name}) was lost: the driver reset it, or it is gone; what was computed on it is lost too, load the model again or use another --device");
    }

    /// <summary>The logical device, with the features our shaders want; <paramref name="statistics"/>: and those that tell what a compiler made of them.</summary>
    internal static Device Create(Vk api, VulkanProbe probe, bool statistics)
    {
        float priority = 1;
        var queueInfo = new DeviceQueueCreateInfo { SType = StructureType.DeviceQueueCreateInfo, QueueFamilyIndex = probe.ComputeFamily, QueueCount = 1, PQueuePriorities = &priority };
        var dot = new PhysicalDeviceShaderIntegerDotProductFeatures { SType = StructureType.PhysicalDeviceShaderIntegerDotProductFeatures, ShaderIntegerDotProduct = true };
        var twelve = new PhysicalDeviceVulkan12Features { SType = StructureType.PhysicalDeviceVulkan12Features, BufferDeviceAddress = true, PNext = probe.Features.IntegerDot ? &dot : null };
        var told = new PhysicalDevicePipelineExecutablePropertiesFeaturesKHR { SType = StructureType.PhysicalDevicePipelineExecutablePropertiesFeaturesKhr, PipelineExecutableInfo = true, PNext = &twelve };
        var features = new PhysicalDeviceFeatures2 { SType = StructureType.PhysicalDeviceFeatures2, PNext = statistics ? &told : &twelve, Features = new PhysicalDeviceFeatures { ShaderInt64 = true } };
        string[] extensions = statistics ? [.. probe.Extensions, "VK_KHR_pipeline_executable_properties"] : [.. probe.Extensions];
        byte** names = stackalloc byte*[extensions.Length];
        for (int i = 0; i < extensions.Length; i++) names[i] = (byte*)Marshal.StringToCoTaskMemUTF8(extensions[i]);
        var info = new DeviceCreateInfo
        {
            SType = StructureType.DeviceCreateInfo, PNext = &features, QueueCreateInfoCount = 1, PQueueCreateInfos = &queueInfo,
            EnabledExtensionCount = (uint)extensions.Length, PpEnabledExtensionNames = names,
        };
        var result = api.CreateDevice(probe.Handle, in info, null, out var handle);
        for (int i = 0; i < extensions.Length; i++) Marshal.FreeCoTaskMem((nint)names[i]);
        result.Check("vkCreateDevice");
        return handle;
    }
}
