using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Runtime.Devices.Host;

/// <summary>What the machine's processor is and how much memory it can still give.</summary>
static class HostProcessor
{
    public static string Name { get; } = Model() ?? System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture.ToString();

    /// <summary>The widest instructions that the host bodies use here.</summary>
    public static string Instructions =>
        (Avx512F.IsSupported ? "AVX-512" : Avx2.IsSupported ? "AVX2" : AdvSimd.IsSupported ? "AdvSimd" : "portable")
        + (AvxVnni.IsSupported ? " + AVX-VNNI" : Dp.IsSupported ? " + dot product" : "");

    /// <summary>Physical memory that is available, the page cache included, within the process's own limit.</summary>
    public static long FreeBytes
    {
        get
        {
            var gc = GC.GetGCMemoryInfo();
            long free = Math.Max(0, gc.TotalAvailableMemoryBytes - Environment.WorkingSet);
            if (!OperatingSystem.IsLinux()) return free;
            try
            {
                foreach (string line in File.ReadLines("/proc/meminfo"))
                    if (line.StartsWith("MemAvailable:", StringComparison.Ordinal))
                        return Math.Min(free, long.Parse(line.AsSpan(13).Trim().ToString().Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture) * 1024);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException) { }
            return free;
        }
    }

    static string? Model()
    {
        if (!OperatingSystem.IsLinux()) return Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER");
        try
        {
            return File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[1].Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return null; }
    }
}
