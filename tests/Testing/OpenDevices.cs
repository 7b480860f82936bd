using Tessera.Runtime.Devices;

namespace Tessera.Testing;

/// <summary>The devices of a test class, each opened once: a test takes longer to open one than to run an op.</summary>
public sealed class OpenDevices : IDisposable
{
    readonly Dictionary<string, IDevice> open = [];

    /// <summary>Opens it, or skips the test, as <see cref="TestDevices.Open"/> does.</summary>
    public IDevice this[string name] => open.TryGetValue(name, out var device) ? device : open[name] = TestDevices.Open(name);

    public void Dispose()
    {
        foreach (var device in open.Values) device.Dispose();
    }
}
