using Tessera.Runtime.Devices;
using Tessera.Runtime.Devices.Host;
using Tessera.Runtime.Devices.Reference;
using Tessera.Runtime.Devices.Vulkan;

namespace Tessera;

/// <summary>What kind of hardware a device is; the default prefers them in this order, and takes nothing from <see cref="Software"/> on.</summary>
public enum DeviceKind { Discrete, Integrated, Host, Software, Null }

/// <summary>One device of the machine: its name, what it is, and why it is passed over (null: it can be used).</summary>
public sealed record DeviceEntry(string Name, string Description, DeviceKind Kind, string? UnavailableReason);

/// <summary>
/// All devices by name: the host, the reference and Vulkan's. Backends outside this assembly add themselves with <see cref="Register"/>, CUDA and OpenCL by
/// <c>IlgpuDevices.Register()</c>.
/// </summary>
public static class DeviceCatalog
{
    /// <summary>A backend: the prefix of its names, how to list its devices, how to open one.</summary>
    public sealed record Backend(string Prefix, Func<IReadOnlyList<DeviceEntry>> List, Func<int, IDevice> Open)
    {
        /// <summary>Whether it has one device, whose name is the prefix without a number.</summary>
        public bool IsSingle { get; init; }

        internal string Names => IsSingle ? Prefix : $"{Prefix}:N";
    }

    static readonly List<Backend> backends = [VulkanDevice.Backend];

    /// <summary>Adds a backend, once: a prefix that is there already stays what it is.</summary>
    public static void Register(Backend backend)
    {
        lock (backends)
            if (backends.All(b => b.Prefix != backend.Prefix)) backends.Add(backend);
    }

    /// <summary>Every device, with the reason why one is passed over.</summary>
    public static IReadOnlyList<DeviceEntry> List()
    {
        Backend[] others;
        lock (backends) others = [.. backends];
        return
        [
            .. others.SelectMany(b => b.List()),
            new DeviceEntry("host", HostDevice.Describe(0), DeviceKind.Host, null),
            new DeviceEntry("reference", "scalar reference bodies, 1 thread", DeviceKind.Software, null),
        ];
    }

    /// <summary>Opens a device by name; it is used or it is an error. Null: the first that can be used, in the default order.</summary>
    /// <exception cref="TesseraException">There is no such device, or it cannot be used: says why.</exception>
    public static IDevice Open(string? name, int threads = 0) => name is null ? OpenFirst(threads, _ => null, _ => { }) : OpenNamed(name, threads);

    /// <summary>Opens the first device in the default order (discrete, integrated, host) that <paramref name="refuse"/> has nothing against.</summary>
    /// <param name="refuse">Why an open device does not do, or null.</param>
    /// <param name="passedOver">Is given a line for each that comes before, with the reason.</param>
    /// <exception cref="TesseraException">None does: says why the last does not.</exception>
    internal static IDevice OpenFirst(int threads, Func<IDevice, string?> refuse, Action<string> passedOver)
    {
        string last = "there is no device";
        foreach (var entry in List().Where(d => d.Kind < DeviceKind.Software).OrderBy(d => d.Kind))
        {
            string? reason = entry.UnavailableReason;
            if (reason is null)
            {
                IDevice? device = null;
                try
                {
                    device = OpenNamed(entry.Name, threads);
                    if ((reason = refuse(device)) is null) return device;
                }
                catch (TesseraException e) { reason = e.Message; }
                catch
                {
                    device?.Dispose();
                    throw;
                }
                device?.Dispose();
            }
            passedOver($"{entry.Name} ({entry.Description}) is passed over: {reason}");
            last = reason;
        }
        throw new TesseraException(last);
    }

    static IDevice OpenNamed(string name, int threads)
    {
        if (name == "host") return new HostDevice(threads);
        if (name == "reference") return new ReferenceDevice();
        string[] parts = name.Split(':');
        Backend? backend;
        lock (backends) backend = backends.Find(b => b.Prefix == parts[0]);
        if (backend is { IsSingle: true } && parts.Length == 1) return backend.Open(0);
        if (backend is null or { IsSingle: true } || parts.Length != 2
            || !int.TryParse(parts[1], System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int index))
            throw new TesseraException($"device '{name}': expected {string.Join(", ", Known())}");
        return backend.Open(index);
    }

    static IEnumerable<string> Known()
    {
        lock (backends) return [.. backends.Select(b => b.Names), "host", "reference"];
    }
}
