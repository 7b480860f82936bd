using Tessera.Runtime.Devices.Ilgpu;
using Tessera.Runtime.Devices.Vulkan;

namespace Tessera.Tools;

/// <summary>The backends that a command line offers.</summary>
static class Devices
{
    public static void Register()
    {
        DeviceCatalog.Register(VulkanDevice.Backend);
        DeviceCatalog.Register(IlgpuDevice.Cuda);
        DeviceCatalog.Register(IlgpuDevice.OpenCl);
    }
}
