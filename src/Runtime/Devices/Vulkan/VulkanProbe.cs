using System.Runtime.InteropServices;
using Silk.NET.Vulkan;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>What one physical device is and can do, and why it is passed over where it cannot run our kernels.</summary>
sealed unsafe class VulkanProbe
{
    public PhysicalDevice Handle { get; }
    public string Name { get; }
    public string Driver { get; }
    public DeviceKind Kind { get; }
    public Features Features { get; internal set; }
    public uint ComputeFamily { get; }

    /// <summary>Bytes of one allocation, and of one buffer, at most.</summary>
    public long MaxAllocationBytes { get; internal set; }

    /// <summary>The driver's mark on pipelines it compiled for this device, and a name for files of them.</summary>
    public byte[] CacheId { get; } = [];

    public string CacheName { get; } = "";

    /// <summary>What a tick of a timestamp is.</summary>
    public double TimestampSeconds { get; }

    /// <summary>Bits of a timestamp that count; 0: the queue has none.</summary>
    public int TimestampBits { get; }

    /// <summary>Null where the device can be used.</summary>
    public string? UnavailableReason { get; }

    public string Description => $"{Name}, {Driver}";

    /// <summary>Device extensions to switch on, of those the device has.</summary>
    public List<string> Extensions { get; } = [];

    public VulkanProbe(Vk api, PhysicalDevice handle)
    {
        Handle = handle;
        var integerDot = new PhysicalDeviceShaderIntegerDotProductFeatures { SType = StructureType.PhysicalDeviceShaderIntegerDotProductFeatures };
        var half = new PhysicalDeviceVulkan12Features { SType = StructureType.PhysicalDeviceVulkan12Features };
        var features = new PhysicalDeviceFeatures2 { SType = StructureType.PhysicalDeviceFeatures2, PNext = &half };
        var subgroup = new PhysicalDeviceSubgroupProperties { SType = StructureType.PhysicalDeviceSubgroupProperties };
        var driver = new PhysicalDeviceDriverProperties { SType = StructureType.PhysicalDeviceDriverProperties, PNext = &subgroup };
        var buffers = new PhysicalDeviceMaintenance4Properties { SType = StructureType.PhysicalDeviceMaintenance4Properties, MaxBufferSize = long.MaxValue };
        var allocations = new PhysicalDeviceMaintenance3Properties { SType = StructureType.PhysicalDeviceMaintenance3Properties, PNext = &driver };
        var properties = new PhysicalDeviceProperties2 { SType = StructureType.PhysicalDeviceProperties2, PNext = &allocations };
        api.GetPhysicalDeviceProperties(handle, out var plain);
        Name = Marshal.PtrToStringUTF8((nint)plain.DeviceName) ?? "";
        Driver = "";
        CacheId = new ReadOnlySpan<byte>(plain.PipelineCacheUuid, 16).ToArray();
        CacheName = $"{plain.VendorID:x4}-{plain.DeviceID:x4}-{Convert.ToHexStringLower(CacheId)}";
        TimestampSeconds = plain.Limits.TimestampPeriod * 1e-9;
        if (plain.ApiVersion < (1u << 22 | 2u << 12))
        {
            Kind = DeviceKind.Integrated;
            UnavailableReason = $"it speaks Vulkan {plain.ApiVersion >> 22}.{plain.ApiVersion >> 12 & 0x3ff}, 1.2 is needed";
            return;
        }
        var names = ExtensionNames(api, handle);
        bool hasDot = names.Contains("VK_KHR_shader_integer_dot_product");
        if (hasDot) half.PNext = &integerDot;
        if (names.Contains("VK_KHR_maintenance4")) subgroup.PNext = &buffers; // before it, buffers had no limit of their own
        api.GetPhysicalDeviceFeatures2(handle, &features);
        api.GetPhysicalDeviceProperties2(handle, &properties);
        MaxAllocationBytes = (long)Math.Min(long.MaxValue, Math.Min(allocations.MaxMemoryAllocationSize, buffers.MaxBufferSize));
        Driver = $"{Marshal.PtrToStringUTF8((nint)driver.DriverName)} {Marshal.PtrToStringUTF8((nint)driver.DriverInfo)}".Trim();
        Kind = Name.Contains("Null hardware", StringComparison.Ordinal) ? DeviceKind.Null : plain.DeviceType switch
        {
            PhysicalDeviceType.DiscreteGpu => DeviceKind.Discrete,
            PhysicalDeviceType.Cpu => DeviceKind.Software,
            _ => DeviceKind.Integrated,
        };
        if (hasDot && integerDot.ShaderIntegerDotProduct) Extensions.Add("VK_KHR_shader_integer_dot_product");
        if (names.Contains("VK_EXT_memory_budget")) Extensions.Add("VK_EXT_memory_budget");
        Features = new Features((int)subgroup.SubgroupSize, hasDot && integerDot.ShaderIntegerDotProduct);
        (ComputeFamily, TimestampBits) = Family(api, handle);
        bool broadcasts = subgroup.SubgroupSize >= 4
            && subgroup.SupportedStages.HasFlag(ShaderStageFlags.ComputeBit) && subgroup.SupportedOperations.HasFlag(SubgroupFeatureFlags.BallotBit);
        UnavailableReason = GetUnavailableReason(half.BufferDeviceAddress, features.Features.ShaderInt64, broadcasts, ComputeFamily != uint.MaxValue, Kind);
    }

    /// <summary>Why a device cannot run our kernels, or null.</summary>
    internal static string? GetUnavailableReason(bool addresses, bool int64, bool broadcasts, bool computes, DeviceKind kind) =>
        !addresses ? "it has no buffer device addresses"
        : !int64 ? "its shaders have no 64-bit integers"
        : !broadcasts ? "its shaders have no subgroups of 4 or more that broadcast"
        : !computes ? "it has no compute queue"
        : kind == DeviceKind.Null ? "it is null hardware: it compiles and computes nothing" : null;

    static HashSet<string> ExtensionNames(Vk api, PhysicalDevice handle)
    {
        uint count = 0;
        api.EnumerateDeviceExtensionProperties(handle, (byte*)null, ref count, null).Check();
        var list = new ExtensionProperties[count];
        fixed (ExtensionProperties* to = list) api.EnumerateDeviceExtensionProperties(handle, (byte*)null, ref count, to).Check();
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var one in list) names.Add(Marshal.PtrToStringUTF8((nint)one.ExtensionName) ?? "");
        return names;
    }

    /// <summary>The first family of queues that computes; one that does graphics too is as good.</summary>
    static (uint Index, int TimestampBits) Family(Vk api, PhysicalDevice handle)
    {
        uint count = 0;
        api.GetPhysicalDeviceQueueFamilyProperties(handle, ref count, null);
        var families = new QueueFamilyProperties[count];
        fixed (QueueFamilyProperties* to = families) api.GetPhysicalDeviceQueueFamilyProperties(handle, ref count, to);
        int found = Array.FindIndex(families, f => f.QueueFlags.HasFlag(QueueFlags.ComputeBit));
        return found < 0 ? (uint.MaxValue, 0) : ((uint)found, (int)families[found].TimestampValidBits);
    }
}
