using System.Globalization;
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
                        return Math.Min(free, long.Parse(line.AsSpan(13).Trim().ToString().Split(' ')[0], CultureInfo.InvariantCulture) * 1024);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException) { }
            return free;
        }
    }

    /// <summary>
    /// Four times what the last caches hold together, as far as the system tells it, between what they hold in most machines and what is quickly read.
    /// </summary>
    public static long UncachedBytes { get; } = Math.Clamp(4 * LastCacheBytes("/sys/devices/system/cpu"), 512 << 20, 1 << 30);

    /// <summary>The bytes of all last caches of the processors in a folder like Linux's; 0 where it tells nothing.</summary>
    internal static long LastCacheBytes(string folder)
    {
        var caches = new Dictionary<string, (int Level, long Bytes)>(StringComparer.Ordinal); // by level and the processors that share it
        try
        {
            var folders = Directory.EnumerateDirectories(folder, "cpu*").Select(cpu => Path.Combine(cpu, "cache")).Where(Directory.Exists);
            foreach (string index in folders.SelectMany(cache => Directory.EnumerateDirectories(cache, "index*")))
            {
                string Line(string name) => File.ReadAllText(Path.Combine(index, name)).Trim();
                string size = Line("size");
                long unit = size.EndsWith('K') ? 1 << 10 : size.EndsWith('M') ? 1 << 20 : 1;
                int level = int.Parse(Line("level"), CultureInfo.InvariantCulture);
                caches[$"{level} {Line("shared_cpu_list")}"] = (level, unit * long.Parse(size.TrimEnd('K', 'M'), CultureInfo.InvariantCulture));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException or OverflowException) { return 0; }
        return caches.Values.Where(c => c.Level == caches.Values.Max(other => other.Level)).Sum(c => c.Bytes);
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
