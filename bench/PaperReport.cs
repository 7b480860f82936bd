using Tessera.Runtime.Devices.Vulkan;

namespace Tessera.Bench;

/// <summary>
/// What a driver's compiler makes of every shader: registers, spills, occupancy and inverse throughput, the same each time. bench/paper.sh runs it for GPUs
/// that are not there.
/// </summary>
static class PaperReport
{
    static readonly string[] columns = ["VGPRs", "SGPRs", "Spilled VGPRs", "Spilled SGPRs", "LDS size", "Subgroups per SIMD", "Inverse Throughput", "Latency",
        "Code size"];

    public static int Run(int index)
    {
        var (device, shaders) = VulkanStatistics.Collect(index);
        Console.WriteLine($"# {device}");
        Console.WriteLine($"{"shader",-32}{string.Concat(columns.Select(c => $" {c,18}"))}");
        foreach (var (shader, numbers) in shaders)
            Console.WriteLine($"{shader,-32}{string.Concat(columns.Select(c => $" {(numbers.TryGetValue(c, out long n) ? n.ToString() : "-"),18}"))}");
        return 0;
    }
}
