using Tessera.Runtime.Devices;
using Tessera.Tools;

namespace Tessera.Bench;

/// <summary>Lists every device with the reason why it is usable or not, and measures those that are.</summary>
static class DevicesReport
{
    public static int Run()
    {
        IlgpuDevices.Register();
        foreach (var entry in DeviceCatalog.List())
        {
            Console.WriteLine($"{entry.Name,-12} {entry.Kind.ToString().ToLowerInvariant(),-10} {entry.Description}");
            if (entry.UnavailableReason is { } reason) Console.WriteLine($"{"",-12} passed over: {reason}");
            if (entry.UnavailableReason is null || entry.Name.Contains(':'))
                Console.WriteLine($"{"",-12} {(entry.UnavailableReason is null ? "usable" : "measured")}: {Measured(entry.Name)}");
        }
        return 0;
    }

    static string Measured(string name)
    {
        try
        {
            using var device = DeviceCatalog.Open(name);
            string peaks = string.Concat(Rulers.Peaks(device).Select(p => $", {p.PerSecond / 1e9:F0} Gop/s in {p.Arithmetic}"));
            double bandwidth = device.MeasureBandwidth();
            string read = bandwidth > 0 ? $"reads {bandwidth / 1e9:F1} GB/s ({Cli.Size(device.UncachedBytes)})" : "too little memory to measure reading";
            return $"{read}{peaks}, {Cli.Size(device.FreeBytes)} free";
        }
        catch (TesseraException e) { return $"not measured: {e.Message}"; }
    }
}
