using Tessera.Runtime.Devices;
using Tessera.Runtime.Devices.Ilgpu;
using Tessera.Runtime.Devices.Vulkan;
using Xunit;

namespace Tessera.Testing;

/// <summary>
/// The devices that tests run on: the host, software Vulkan, and every hardware GPU found. OpenCL needs PoCL, which is in a system of its own
/// (tests/opencl.sh): there TESSERA_DEVICES names it, and the tests run on nothing else.
/// </summary>
public static class TestDevices
{
    /// <summary>Software Vulkan as if its subgroups were as wide as those of most GPUs: the same code runs on both.</summary>
    const string Wide = "lavapipe of 32 lanes";

    static readonly DeviceEntry[] found = [.. VulkanDevice.Backend.List(), .. IlgpuDevice.Cuda.List()];

    /// <summary>In the full set, a missing software device is a failure.</summary>
    public static bool All => Environment.GetEnvironmentVariable("TESSERA_ALL") == "1";

    /// <summary>Hardware GPUs, by name.</summary>
    public static IEnumerable<string> Hardware => found.Where(d => d.Kind is DeviceKind.Discrete or DeviceKind.Integrated).Select(d => d.Name);

    /// <summary>Devices for the ops that have bodies in all languages.</summary>
    public static TheoryData<string> Names => Environment.GetEnvironmentVariable("TESSERA_DEVICES") is { Length: > 0 } asked
        ? [.. asked.Split(',')]
        : ["host", "lavapipe", Wide, .. Hardware];

    /// <summary>Devices that have all ops.</summary>
    public static TheoryData<string> Complete => ["host", "lavapipe", Wide, .. Hardware.Where(d => d.StartsWith("vulkan", StringComparison.Ordinal))];

    /// <summary>Devices that run whole models: those with all ops, and the definition.</summary>
    public static IEnumerable<string> ForModels => Complete.Select(d => d.Data).Where(d => d != Wide);

    /// <summary>Opens a device, or skips the test with the reason; in the full set a missing lavapipe fails. The host gets three threads, whatever the machine has.</summary>
    public static IDevice Open(string name, int threads = 3) => name == Wide ? OpenWide() : DeviceCatalog.Open(Named(name), threads);

    static VulkanDevice OpenWide()
    {
        using (var narrow = VulkanDevice.Open(Lavapipe))
            if (narrow.Probe.Features.SubgroupSize < 8) Assert.Skip($"lavapipe's subgroups have {narrow.Probe.Features.SubgroupSize} lanes on this processor, 32 need 8");
        return VulkanDevice.Open(Lavapipe, lanes: 32);
    }

    /// <summary>Its number among Vulkan devices.</summary>
    public static int Lavapipe => int.Parse(Named("lavapipe").Split(':')[1]);

    /// <summary>The catalogue's name of a device; lavapipe is wherever it was found.</summary>
    public static string Named(string name)
    {
        DeviceCatalog.Register(VulkanDevice.Backend);
        DeviceCatalog.Register(IlgpuDevice.Cuda);
        DeviceCatalog.Register(IlgpuDevice.OpenCl);
        if (name != "lavapipe") return name;
        var lavapipe = Array.Find(found, d => d.Kind == DeviceKind.Software && d.Name.StartsWith("vulkan", StringComparison.Ordinal));
        if (lavapipe is not null) return lavapipe.Name;
        const string Missing = "software Vulkan is missing: run tests/install.sh vulkan";
        if (All) Assert.Fail(Missing);
        Assert.Skip(Missing);
        return name;
    }
}
