using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Ilgpu;

// Which devices there are, and how one is opened.
public sealed partial class IlgpuDevice
{
    const int CpuWarp = 32, CpuWarps = 8; // a group may have 256 threads

    static readonly Lock driver = new();  // drivers show no devices to one thread while another's first call prepares them

    /// <summary>What ILGPU drives.</summary>
    /// <param name="Prefix">Of its devices' names.</param>
    /// <param name="Missing">Why it has none, as far as one can tell.</param>
    /// <param name="Kind">What they usually are.</param>
    /// <param name="Is">Whether a device is one of its: a context always holds ILGPU's CPU accelerator too.</param>
    /// <param name="Enable">Makes a context find them.</param>
    sealed record Api(string Prefix, string Missing, DeviceKind Kind, Func<Device, bool> Is, Action<Context.Builder> Enable)
    {
        public DeviceCatalog.Backend Backend => new(Prefix, () => List(this), index => Open(this, index)) { IsSingle = this == cpu };

        public string Name(int index) => this == cpu ? Prefix : $"{Prefix}:{index}";
    }

    static readonly Api
        cuda = new("cuda", "there is no CUDA driver or device on this machine", DeviceKind.Discrete, d => d is CudaDevice, b => b.Cuda()),
        openCl = new("opencl", "there is no OpenCL driver or device on this machine", DeviceKind.Integrated, d => d is CLDevice, b => b.OpenCL(_ => true)),
        cpu = new("ilgpu-cpu", "ILGPU has no CPU accelerator", DeviceKind.Software, d => d is CPUDevice, b => b.CPU(new CPUDevice(CpuWarp, CpuWarps, 1)));

    public static DeviceCatalog.Backend Cuda { get; } = cuda.Backend;

    public static DeviceCatalog.Backend OpenCl { get; } = openCl.Backend;

    /// <summary>ILGPU's CPU accelerator, <c>ilgpu-cpu</c>: every thread of a group is one of the system, so that bodies can be debugged.</summary>
    public static DeviceCatalog.Backend Cpu { get; } = cpu.Backend;

    static IReadOnlyList<DeviceEntry> List(Api api)
    {
        using var context = Create(api, out string reason);
        var devices = Devices(context, api);
        if (devices.Length == 0) return [new DeviceEntry(api.Prefix, "none", DeviceKind.Null, reason)];
        const string Partial = "by name only: whole models were not compared with the references on it yet";
        return [.. devices.Select((d, i) => new DeviceEntry(api.Name(i), Describe(d), Kind(d, api.Kind), GetUnavailableReason(d) ?? Partial))];
    }

    static Device[] Devices(Context? context, Api api) => context is null ? [] : [.. context.Devices.Where(api.Is)];

    static string Describe(Device device) => device is CPUDevice ? "ILGPU's CPU accelerator, for debugging, slow" : device.Name;

    static DeviceKind Kind(Device device, DeviceKind usual) => device is CLDevice { DeviceType: CLDeviceType.CL_DEVICE_TYPE_CPU } ? DeviceKind.Software : usual;

    static string? GetUnavailableReason(Device device) =>
        device is CLDevice { Capabilities.GenericAddressSpace: false } ? "its OpenCL has no generic address space" : null;

    static IlgpuDevice Open(Api api, int index)
    {
        string name = api.Name(index);
        var context = Create(api, out string reason) ?? throw new TesseraException($"device '{name}': {reason}");
        var devices = Devices(context, api);
        if (index >= devices.Length || GetUnavailableReason(devices[index]) is not null)
        {
            context.Dispose();
            string problem = devices.Length == 0 ? $"cannot be used: {reason}"
                : index >= devices.Length ? $"is not there: expected 0 to {devices.Length - 1}"
                : $"cannot be used: {GetUnavailableReason(devices[index])}";
            throw new TesseraException($"device '{name}' {problem}");
        }
        try { return new IlgpuDevice(context, devices[index], name); }
        catch (Exception e) when (e is not TesseraException)
        {
            context.Dispose();
            throw new TesseraException($"device '{name}' cannot be used: {e.Message.Split('\n')[0]}", e);
        }
    }

    static Context? Create(Api api, out string reason)
    {
        reason = api.Missing;
        try
        {
            lock (driver)
                return Context.Create(builder => api.Enable(Compile(builder)));
        }
        catch (Exception e)
            when (e is DllNotFoundException or NotSupportedException or TypeInitializationException or EntryPointNotFoundException or AcceleratorException)
        {
            reason = $"{reason} ({e.Message.Split('\n')[0]})";
            return null;
        }
    }

    /// <summary>How kernels are compiled.</summary>
    internal static Context.Builder Compile(Context.Builder builder) => builder.Optimize(OptimizationLevel.O2).EnableAlgorithms().Dots();
}
