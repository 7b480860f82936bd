using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Tessera.Runtime.Devices.Ilgpu;

// Which devices there are, and how one is opened.
public sealed partial class IlgpuDevice
{
    static readonly Lock driver = new(); // drivers show no devices to one thread while another's first call prepares them

    public static DeviceCatalog.Backend Cuda { get; } = new("cuda", () => List("cuda", DeviceKind.Discrete), index => Open("cuda", index));

    public static DeviceCatalog.Backend OpenCl { get; } = new("opencl", () => List("opencl", DeviceKind.Integrated), index => Open("opencl", index));

    static IReadOnlyList<DeviceEntry> List(string prefix, DeviceKind kind)
    {
        using var context = Create(prefix, out string reason);
        var devices = context is null ? [] : Real(context);
        if (devices.Length == 0) return [new DeviceEntry(prefix, "none", DeviceKind.Null, reason)];
        const string Partial = "only the ops MatMul and Attention run on it yet, not whole models";
        return [.. devices.Select((d, i) => new DeviceEntry($"{prefix}:{i}", d.Name, Kind(d, kind), GetUnavailableReason(d) ?? Partial))];
    }

    /// <summary>A context always holds ILGPU's CPU debugger too; that is nobody's GPU.</summary>
    static Device[] Real(Context context) => [.. context.Devices.Where(d => d is CudaDevice or CLDevice)];

    static DeviceKind Kind(Device device, DeviceKind usual) => device is CLDevice { DeviceType: CLDeviceType.CL_DEVICE_TYPE_CPU } ? DeviceKind.Software : usual;

    static string? GetUnavailableReason(Device device) =>
        device is CLDevice { Capabilities.GenericAddressSpace: false } ? "its OpenCL has no generic address space" : null;

    static IlgpuDevice Open(string prefix, int index)
    {
        var context = Create(prefix, out string reason) ?? throw new TesseraException($"device '{prefix}:{index}': {reason}");
        var devices = Real(context);
        if (index >= devices.Length || GetUnavailableReason(devices[index]) is not null)
        {
            context.Dispose();
            string problem = devices.Length == 0 ? $"cannot be used: {reason}"
                : index >= devices.Length ? $"is not there: expected 0 to {devices.Length - 1}"
                : $"cannot be used: {GetUnavailableReason(devices[index])}";
            throw new TesseraException($"device '{prefix}:{index}' {problem}");
        }
        try { return new IlgpuDevice(context, devices[index], $"{prefix}:{index}"); }
        catch (Exception e) when (e is not TesseraException)
        {
            context.Dispose();
            throw new TesseraException($"device '{prefix}:{index}' cannot be used: {e.Message.Split('\n')[0]}", e);
        }
    }

    static Context? Create(string prefix, out string reason)
    {
        reason = prefix == "cuda" ? "there is no CUDA driver or device on this machine" : "there is no OpenCL driver or device on this machine";
        try
        {
            lock (driver)
                return Context.Create(builder =>
                {
                    builder.Optimize(OptimizationLevel.O2).EnableAlgorithms();
                    if (prefix == "cuda") builder.Cuda();
                    else builder.OpenCL(device => true);
                });
        }
        catch (Exception e)
            when (e is DllNotFoundException or NotSupportedException or TypeInitializationException or EntryPointNotFoundException or AcceleratorException)
        {
            reason = $"{reason} ({e.Message.Split('\n')[0]})";
            return null;
        }
    }
}
