using System.Runtime.InteropServices;
using Silk.NET.Vulkan;
using Tessera.Runtime.Devices.Host;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>A GPU through Vulkan 1.2. A recording is a list of command buffers, made once and submitted many times.</summary>
public sealed unsafe partial class VulkanDevice : IDevice
{
    const long GpuUncachedBytes = 512 << 20; // no GPU says how large its last cache is; the largest known is 128 MiB
    const int SoftwareUnitBytes = 1 << 20;   // of the ruler: shorter ones cost a CPU half of what it reads

    readonly VulkanInstance instance;
    double? bandwidth;

    VulkanDevice(VulkanInstance instance, VulkanProbe probe, int index, string? cacheFolder)
    {
        (this.instance, Probe, Name, Api) = (instance, probe, $"vulkan:{index}", instance.Api);
        Handle = Create(Api, probe, statistics: false);
        Queue = new VulkanQueue(Api, Handle, probe.ComputeFamily, $"{Name} ({probe.Name})");
        Pipelines = new VulkanPipelines(Api, Handle, probe, cacheFolder ?? VulkanPipelineCache.Folder);
        suballocator = new VulkanSuballocator(this);
    }

    public string Name { get; }

    public string Description => Probe.Description;

    internal Vk Api { get; }

    internal Device Handle { get; }

    internal VulkanProbe Probe { get; }

    internal VulkanQueue Queue { get; }

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
    /// <param name="maxAllocation">As if one allocation could have no more bytes than these.</param>
    /// <param name="features">As if it had these. Shaders for 32 lanes pass nothing on but among 8, those for 4 among 4: a device of 8 runs both.</param>
    internal static VulkanDevice Open(int index, string? cacheFolder = null, bool staged = false, Features? features = null, long? maxAllocation = null)
    {
        var instance = VulkanInstance.Create(out string reason) ?? throw new TesseraException($"device 'vulkan:{index}': {reason}");
        try
        {
            var devices = instance.PhysicalDevices();
            if (index >= devices.Length)
                throw new TesseraException($"device 'vulkan:{index}': expected 0 to {devices.Length - 1}, this machine has {devices.Length} Vulkan devices");
            var probe = new VulkanProbe(instance.Api, devices[index]);
            if (probe.UnavailableReason is not null)
                throw new TesseraException($"device 'vulkan:{index}' ({probe.Name}) cannot be used: {probe.UnavailableReason}");
            probe.Features = features ?? probe.Features;
            probe.MaxAllocationBytes = maxAllocation ?? probe.MaxAllocationBytes;
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

    public Completion Submit(Recording recording) => Queue.Submit(((VulkanRecording)recording).Commands);

    public void Wait() => Queue.Wait();

    public double[] Profile(Recording recording) => ((VulkanRecording)recording).Profile();

    public double Time(Recording recording) => ((VulkanRecording)recording).Time();

    public long UncachedBytes => Probe.Kind == DeviceKind.Software ? HostProcessor.UncachedBytes : GpuUncachedBytes;

    public double MeasureBandwidth() => bandwidth ??= Probe.Kind == DeviceKind.Software
        ? Rulers.Bandwidth(this, UncachedBytes, [(1, 0)], (int)(UncachedBytes / SoftwareUnitBytes))
        : Rulers.Bandwidth(this, 4 * GpuUncachedBytes, [(1, 0)]);

    public void Dispose()
    {
        Drain();
        staging?.Dispose();
        Pipelines.Dispose();
        Queue.Dispose();
        Api.DestroyDevice(Handle, null);
        instance.Dispose();
    }

    /// <summary>
    /// The logical device, with the features our shaders want; <paramref name="statistics"/>: with those that show what a compiler made of them.
    /// </summary>
    internal static Device Create(Vk api, VulkanProbe probe, bool statistics)
    {
        float priority = 1;
        var queueInfo = new DeviceQueueCreateInfo
        {
            SType = StructureType.DeviceQueueCreateInfo, QueueFamilyIndex = probe.ComputeFamily, QueueCount = 1, PQueuePriorities = &priority,
        };
        var dot = new PhysicalDeviceShaderIntegerDotProductFeatures
        {
            SType = StructureType.PhysicalDeviceShaderIntegerDotProductFeatures, ShaderIntegerDotProduct = true,
        };
        var twelve = new PhysicalDeviceVulkan12Features
        {
            SType = StructureType.PhysicalDeviceVulkan12Features, BufferDeviceAddress = true, TimelineSemaphore = true,
            PNext = probe.Features.IntegerDot ? &dot : null,
        };
        var executables = new PhysicalDevicePipelineExecutablePropertiesFeaturesKHR
        {
            SType = StructureType.PhysicalDevicePipelineExecutablePropertiesFeaturesKhr, PipelineExecutableInfo = true, PNext = &twelve,
        };
        var features = new PhysicalDeviceFeatures2
        {
            SType = StructureType.PhysicalDeviceFeatures2, PNext = statistics ? &executables : &twelve,
            Features = new PhysicalDeviceFeatures { ShaderInt64 = true },
        };
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
