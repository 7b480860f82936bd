using Silk.NET.Core.Native;
using Silk.NET.Vulkan;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>
/// What a driver's compiler makes of every shader, for hardware that need not be there: Mesa's AMD driver compiles for a family that RADV_FORCE_FAMILY names.
/// </summary>
public static unsafe class VulkanStatistics
{
    /// <summary>Compiles all shaders that the device's features admit.</summary>
    /// <returns>The device's description, and for each shader its numbers by name.</returns>
    /// <exception cref="TesseraException">There is no such device, it has no statistics, or a shader does not compile.</exception>
    public static (string Device, List<(string Shader, Dictionary<string, long> Numbers)> Shaders) Collect(int index)
    {
        using var instance = VulkanInstance.Create(out string reason) ?? throw new TesseraException($"device 'vulkan:{index}': {reason}");
        var devices = instance.PhysicalDevices();
        if (index >= devices.Length) throw new TesseraException($"device 'vulkan:{index}': this machine has {devices.Length} Vulkan devices");
        var probe = new VulkanProbe(instance.Api, devices[index]);
        var device = VulkanDevice.Create(instance.Api, probe, statistics: true);
        try
        {
            using var pipelines = new VulkanPipelines(instance.Api, device, probe, VulkanPipelineCache.Folder);
            var getStatistics = (delegate* unmanaged<Device, PipelineExecutableInfoKHR*, uint*, PipelineExecutableStatisticKHR*, Result>)
                instance.Api.GetDeviceProcAddr(device, "vkGetPipelineExecutableStatisticsKHR").Handle;
            if (getStatistics == null) throw new TesseraException($"device 'vulkan:{index}' ({probe.Name}) has no VK_KHR_pipeline_executable_properties");
            var shaders = VulkanPipelines.All.Where(s => probe.Features.IntegerDot || !s.EndsWith(".dot", StringComparison.Ordinal)).ToList();
            var list = new List<(string, Dictionary<string, long>)>();
            foreach (string shader in shaders) list.Add((shader, Numbers(instance.Api, getStatistics, device, pipelines.Make(shader, statistics: true))));
            return (probe.Description, list);
        }
        finally { instance.Api.DestroyDevice(device, null); }
    }

    static Dictionary<string, long> Numbers(Vk api,
        delegate* unmanaged<Device, PipelineExecutableInfoKHR*, uint*, PipelineExecutableStatisticKHR*, Result> getStatistics, Device device, Pipeline pipeline)
    {
        var info = new PipelineExecutableInfoKHR { SType = StructureType.PipelineExecutableInfoKhr, Pipeline = pipeline };
        uint count = 0;
        getStatistics(device, &info, &count, null).Check();
        var list = new PipelineExecutableStatisticKHR[count];
        for (int i = 0; i < list.Length; i++) list[i].SType = StructureType.PipelineExecutableStatisticKhr;
        fixed (PipelineExecutableStatisticKHR* to = list) getStatistics(device, &info, &count, to).Check();
        api.DestroyPipeline(device, pipeline, null);
        var numbers = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var one in list)
            numbers[SilkMarshal.PtrToString((nint)one.Name) ?? ""] =
                one.Format == PipelineExecutableStatisticFormatKHR.Float64Khr ? (long)one.Value.F64 : (long)one.Value.U64;
        return numbers;
    }
}
