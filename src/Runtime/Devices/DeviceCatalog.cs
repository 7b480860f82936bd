using Tessera.Runtime.Devices;
using Tessera.Runtime.Devices.Host;
using Tessera.Runtime.Devices.Reference;

namespace Tessera;

/// <summary>What kind of hardware a device is; the default prefers them in this order, and takes nothing from <see cref="Software"/> on.</summary>
public enum DeviceKind { Discrete, Integrated, Host, Software, Null }

/// <summary>One device of the machine: its name, what it is, and why it is passed over (null: it can be used).</summary>
public sealed record DeviceEntry(string Name, string Description, DeviceKind Kind, string? UnavailableReason);

/// <summary>All devices by name. Backends outside this assembly add themselves with <see cref="Register"/>.</summary>
public static class DeviceCatalog
{
    /// <summary>A backend: the prefix of its names, how to list its devices, how to open one.</summary>
    public sealed record Backend(string Prefix, Func<IReadOnlyList<DeviceEntry>> List, Func<int, IDevice> Open);

    static readonly List<Backend> backends = [];

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

    /// <summary>Opens a device by name; it is used or it is an error. Null: the best that can be used.</summary>
    /// <exception cref="TesseraException">There is no such device, or it cannot be used: says why.</exception>
    public static IDevice Open(string? name, int threads = 0)
    {
        if (name is null)
            name = List().Where(d => d.UnavailableReason is null && d.Kind < DeviceKind.Software).OrderBy(d => d.Kind).First().Name;
        if (name == "host") return new HostDevice(threads);
        if (name == "reference") return new ReferenceDevice();
        string[] parts = name.Split(':');
        Backend? backend;
        lock (backends) backend = backends.Find(b => b.Prefix == parts[0]);
        if (backend is null || parts.Length != 2 || !int.TryParse(parts[1], System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int index) || index < 0)
            throw new TesseraException($"device '{name}': expected {string.Join(", ", Known())}");
        return backend.Open(index);
    }

    static IEnumerable<string> Known()
    {
        lock (backends) return [.. backends.Select(b => $"{b.Prefix}:N"), "host", "reference"];
    }
}
