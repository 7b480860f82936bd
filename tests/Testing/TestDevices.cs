using Tessera.Runtime.Devices;
using Tessera.Runtime.Devices.Ilgpu;
using Tessera.Runtime.Devices.Vulkan;
using Tessera.Shaders;
using Xunit;

namespace Tessera.Testing;

/// <summary>
/// The devices that tests run on: the host, software Vulkan, and every hardware GPU found. OpenCL needs PoCL, which is in a system of its own
/// (tests/opencl.sh): there TESSERA_DEVICES names it, and the tests run on nothing else.
/// </summary>
public static class TestDevices
{
    /// <summary>Software Vulkan as if it were other devices: most GPUs have wide subgroups, older ones lack integer dot products.</summary>
    static readonly Dictionary<string, Features> pretended = new()
    {
        ["lavapipe of 32 lanes without dots"] = new(32, IntegerDot: false),
        ["lavapipe of 4 lanes"] = new(4, IntegerDot: true),
    };

    static readonly DeviceEntry[] found = [.. VulkanDevice.Backend.List(), .. IlgpuDevice.Cuda.List()];

    /// <summary>In the full set, a missing software device is a failure.</summary>
    public static bool All => Environment.GetEnvironmentVariable("TESSERA_ALL") == "1";

    /// <summary>Hardware GPUs, by name.</summary>
    public static IEnumerable<string> Hardware => found.Where(d => d.Kind is DeviceKind.Discrete or DeviceKind.Integrated).Select(d => d.Name);

    /// <summary>All that tests run on.</summary>
    public static TheoryData<string> Names => Environment.GetEnvironmentVariable("TESSERA_DEVICES") is { Length: > 0 } asked
        ? [.. asked.Split(',')]
        : ["host", "lavapipe", .. pretended.Keys, .. Hardware];

    /// <summary>Those on which whole models are tested: not yet CUDA and OpenCL.</summary>
    public static TheoryData<string> Complete => [.. Names.Select(d => d.Data).Where(IsComplete)];

    public static bool IsComplete(string device) => !IsIlgpu(device);

    static bool IsIlgpu(string device) => device.Split(':')[0] is "cuda" or "opencl" or "ilgpu-cpu";

    /// <summary>Devices that run whole models: those with all ops, and the definition.</summary>
    public static IEnumerable<string> ForModels => Complete.Select(d => d.Data).Where(d => !pretended.ContainsKey(d));

    /// <summary>Opens a device, or skips the test with the reason; in the full set a missing lavapipe fails. The host gets three threads, whatever the machine
    /// has.</summary>
    public static IDevice Open(string name, int threads = 3) =>
        pretended.TryGetValue(name, out var features) ? Pretend(features) : DeviceCatalog.Open(Named(name), threads);

    static VulkanDevice Pretend(Features features)
    {
        using (var lavapipe = VulkanDevice.Open(Lavapipe))
            if (lavapipe.Probe.Features is not { SubgroupSize: >= 8, IntegerDot: true })
                Assert.Skip($"lavapipe has {lavapipe.Probe.Features} on this processor: too little to pretend");
        return VulkanDevice.Open(Lavapipe, features: features);
    }

    /// <summary>Its number among Vulkan devices.</summary>
    public static int Lavapipe => int.Parse(Named("lavapipe").Split(':')[1]);

    /// <summary>The catalogue's name of a device; lavapipe is wherever it was found.</summary>
    public static string Named(string name)
    {
        IlgpuDevices.Register();
        if (name != "lavapipe") return name;
        var lavapipe = Array.Find(found, d => d.Kind == DeviceKind.Software && d.Name.StartsWith("vulkan", StringComparison.Ordinal));
        if (lavapipe is not null) return lavapipe.Name;
        const string Missing = "software Vulkan is missing: run tests/install.sh vulkan";
        if (All) Assert.Fail(Missing);
        Assert.Skip(Missing);
        return name;
    }
}
