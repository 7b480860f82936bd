using System.Runtime.InteropServices;
using Silk.NET.Core.Contexts;
using Silk.NET.Core.Loader;
using Silk.NET.Vulkan;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>The system's Vulkan loader as Silk.NET asks for its functions. Silk.NET's own search looks beside assemblies, which native code has not.</summary>
sealed class VulkanLibrary(nint handle) : INativeContext
{
    /// <summary>Null where the machine has no Vulkan loader.</summary>
    public static Vk? Load()
    {
        string[] names = OperatingSystem.IsWindows() ? ["vulkan-1.dll"]
            : OperatingSystem.IsMacOS() ? ["libvulkan.1.dylib", "libvulkan.dylib", "libMoltenVK.dylib"]
            : ["libvulkan.so.1", "libvulkan.so"];
        foreach (string name in names)
            if (NativeLibrary.TryLoad(name, out nint handle)) return new Vk(new VulkanLibrary(handle));
        return null;
    }

    public bool TryGetProcAddress(string proc, out nint addr, int? slot = null) => NativeLibrary.TryGetExport(handle, proc, out addr);

    public nint GetProcAddress(string proc, int? slot = null) => TryGetProcAddress(proc, out nint address) ? address : throw new SymbolLoadingException(proc);

    public void Dispose() => NativeLibrary.Free(handle);
}
