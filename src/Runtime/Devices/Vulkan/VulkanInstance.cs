using System.Runtime.InteropServices;
using Silk.NET.Core;
using Silk.NET.Vulkan;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>The Vulkan loader and an instance of it; validation layers are on where TESSERA_VALIDATION is 1.</summary>
sealed unsafe class VulkanInstance : IDisposable
{
    const uint ApiVersion = 1u << 22 | 2u << 12; // 1.2

    /// <summary>What the validation layers complained about, in this process.</summary>
    public static readonly List<string> ValidationMessages = [];

    readonly DebugUtilsMessengerEXT messenger;

    VulkanInstance(Vk api, Instance handle, bool validated)
    {
        (Api, Handle) = (api, handle);
        if (validated) messenger = Listen();
    }

    public Vk Api { get; }

    public Instance Handle { get; }

    /// <summary>Null, with the reason, where the machine has no Vulkan.</summary>
    public static VulkanInstance? Create(out string reason)
    {
        reason = "";
        if (VulkanLibrary.Load() is not { } api)
        {
            reason = "there is no Vulkan loader on this machine";
            return null;
        }
        bool validate = Environment.GetEnvironmentVariable("TESSERA_VALIDATION") == "1";
        byte** layers = stackalloc byte*[1], extensions = stackalloc byte*[1];
        layers[0] = (byte*)Marshal.StringToCoTaskMemUTF8("VK_LAYER_KHRONOS_validation");
        extensions[0] = (byte*)Marshal.StringToCoTaskMemUTF8("VK_EXT_debug_utils");
        var application = new ApplicationInfo { SType = StructureType.ApplicationInfo, ApiVersion = ApiVersion };
        uint extra = validate ? 1u : 0;
        var info = new InstanceCreateInfo
        {
            SType = StructureType.InstanceCreateInfo, PApplicationInfo = &application,
            EnabledLayerCount = extra, PpEnabledLayerNames = layers, EnabledExtensionCount = extra, PpEnabledExtensionNames = extensions,
        };
        var result = api.CreateInstance(in info, null, out var handle);
        Marshal.FreeCoTaskMem((nint)layers[0]);
        Marshal.FreeCoTaskMem((nint)extensions[0]);
        if (result == Result.Success) return new VulkanInstance(api, handle, validate);
        reason = $"vkCreateInstance = {result}";
        api.Dispose();
        return null;
    }

    public PhysicalDevice[] PhysicalDevices()
    {
        uint count = 0;
        Api.EnumeratePhysicalDevices(Handle, ref count, null).Check();
        var devices = new PhysicalDevice[count];
        fixed (PhysicalDevice* to = devices) Api.EnumeratePhysicalDevices(Handle, ref count, to).Check();
        return devices;
    }

    DebugUtilsMessengerEXT Listen()
    {
        var create = (delegate* unmanaged<Instance, DebugUtilsMessengerCreateInfoEXT*, void*, DebugUtilsMessengerEXT*, Result>)
            Api.GetInstanceProcAddr(Handle, "vkCreateDebugUtilsMessengerEXT").Handle;
        var info = new DebugUtilsMessengerCreateInfoEXT
        {
            SType = StructureType.DebugUtilsMessengerCreateInfoExt,
            MessageSeverity = DebugUtilsMessageSeverityFlagsEXT.WarningBitExt | DebugUtilsMessageSeverityFlagsEXT.ErrorBitExt,
            MessageType = DebugUtilsMessageTypeFlagsEXT.ValidationBitExt,
            PfnUserCallback = new PfnDebugUtilsMessengerCallbackEXT(
                (delegate* unmanaged[Cdecl]<DebugUtilsMessageSeverityFlagsEXT, DebugUtilsMessageTypeFlagsEXT, DebugUtilsMessengerCallbackDataEXT*, void*,
                    Bool32>)
                &OnValidationMessage),
        };
        DebugUtilsMessengerEXT made;
        create(Handle, &info, null, &made).Check("vkCreateDebugUtilsMessengerEXT");
        return made;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(System.Runtime.CompilerServices.CallConvCdecl)])]
    static Bool32 OnValidationMessage(DebugUtilsMessageSeverityFlagsEXT severity, DebugUtilsMessageTypeFlagsEXT type, DebugUtilsMessengerCallbackDataEXT* data,
        void* user)
    {
        lock (ValidationMessages) ValidationMessages.Add(Marshal.PtrToStringUTF8((nint)data->PMessage) ?? "");
        return false;
    }

    public void Dispose()
    {
        if (messenger.Handle != 0)
        {
            var destroy = (delegate* unmanaged<Instance, DebugUtilsMessengerEXT, void*, void>)Api.GetInstanceProcAddr(Handle,
                "vkDestroyDebugUtilsMessengerEXT").Handle;
            destroy(Handle, messenger, null);
        }
        Api.DestroyInstance(Handle, null);
        Api.Dispose();
    }
}
