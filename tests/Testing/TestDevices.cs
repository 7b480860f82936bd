using Tessera.Runtime.Devices;
using Tessera.Runtime.Devices.Host;
using Xunit;

namespace Tessera.Testing;

/// <summary>The devices that tests run on. Software devices must be there in the full set; hardware is used where it is found.</summary>
public static class TestDevices
{
    /// <summary>Names for a theory; a name whose device is missing skips, or fails in the full set.</summary>
    public static TheoryData<string> Names => ["host"];

    /// <summary>In the full set, a missing software device is a failure.</summary>
    public static bool All => Environment.GetEnvironmentVariable("TESSERA_ALL") == "1";

    public static IDevice Open(string name) => name switch
    {
        "host" => new HostDevice(threads: 3),
        _ => throw new InvalidOperationException($"no device {name}"),
    };
}
