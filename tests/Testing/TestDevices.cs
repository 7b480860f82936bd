using Tessera.Runtime.Devices;
using Tessera.Runtime.Devices.Host;
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
    static readonly DeviceEntry[] found = [.. VulkanDevice.Backend.List(), .. IlgpuDevice.Cuda.List()];

    /// <summary>In the full set, a missing software device is a failure.</summary>
    public static bool All => Environment.GetEnvironmentVariable("TESSERA_ALL") == "1";

    /// <summary>Hardware GPUs, by name.</summary>
    public static IEnumerable<string> Hardware => found.Where(d => d.Kind is DeviceKind.Discrete or DeviceKind.Integrated).Select(d => d.Name);

    /// <summary>Devices for the ops that have bodies in all languages.</summary>
    public static TheoryData<string> Names => Environment.GetEnvironmentVariable("TESSERA_DEVICES") is { Length: > 0 } asked
        ? [.. asked.Split(',')]
        : ["host", "lavapipe", .. Hardware];

    /// <summary>Devices that have all ops.</summary>
    public static TheoryData<string> Complete => ["host", "lavapipe", .. Hardware.Where(d => d.StartsWith("vulkan", StringComparison.Ordinal))];

    /// <summary>Opens a device, or skips the test with the reason; in the full set a missing lavapipe fails.</summary>
    public static IDevice Open(string name)
    {
        switch (name)
        {
            case "host": return new HostDevice(threads: 3);
            case "lavapipe":
                var lavapipe = Array.Find(found, d => d.Kind == DeviceKind.Software && d.Name.StartsWith("vulkan", StringComparison.Ordinal));
                if (lavapipe is not null) return Backend("vulkan").Open(Index(lavapipe.Name));
                const string Missing = "software Vulkan is missing: run tests/install.sh vulkan";
                if (All) Assert.Fail(Missing);
                Assert.Skip(Missing);
                break;
        }
        return Backend(name.Split(':')[0]).Open(Index(name));
    }

    static DeviceCatalog.Backend Backend(string prefix) => prefix switch
    {
        "vulkan" => VulkanDevice.Backend,
        "cuda" => IlgpuDevice.Cuda,
        _ => IlgpuDevice.OpenCl,
    };

    static int Index(string name) => int.Parse(name.Split(':')[1], System.Globalization.CultureInfo.InvariantCulture);
}
