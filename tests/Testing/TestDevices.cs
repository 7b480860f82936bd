using Tessera.Runtime.Devices;
using Tessera.Runtime.Devices.Host;
using Tessera.Runtime.Devices.Vulkan;
using Xunit;

namespace Tessera.Testing;

/// <summary>The devices that tests run on. Software Vulkan must be there in the full set; hardware is used where it is found.</summary>
public static class TestDevices
{
    /// <summary>In the full set, a missing software device is a failure.</summary>
    public static bool All => Environment.GetEnvironmentVariable("TESSERA_ALL") == "1";

    static readonly DeviceEntry[] vulkan = [.. VulkanDevice.Backend.List()];

    /// <summary>Names for a theory, on which ops are tested: the host, and every Vulkan device that computes; with reasons to skip for what is missing.</summary>
    public static TheoryData<string> Names
    {
        get
        {
            var names = new TheoryData<string>("host", "lavapipe", "gpu");
            return names;
        }
    }

    /// <summary>Opens a device, or skips the test with the reason; in the full set a missing lavapipe fails.</summary>
    public static IDevice Open(string name)
    {
        if (name == "host") return new HostDevice(threads: 3);
        bool software = name == "lavapipe";
        int index = Array.FindIndex(vulkan, d => software ? d.Kind == DeviceKind.Software : d.Kind is DeviceKind.Discrete or DeviceKind.Integrated);
        if (index >= 0) return VulkanDevice.Backend.Open(index);
        string reason = software ? $"software Vulkan is missing ({vulkan[0].PassedOver}): run tests/install.sh vulkan" : "this machine has no hardware GPU";
        if (software && All) Assert.Fail(reason);
        Assert.Skip(reason);
        throw new InvalidOperationException();
    }
}
