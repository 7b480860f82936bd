using Tessera.Runtime.Models;
using Tessera.Shaders;

namespace Tessera.Bench;

/// <summary>Where a step's time goes: its calls by op and shape, with what they have to move and compute.</summary>
static class StageTable
{
    const int Apart = 6; // embedding, gather, norm, head, candidates and their merge

    /// <summary>Prints the last step of a runner.</summary>
    /// <param name="title">Which step it was.</param>
    /// <param name="runner">The step that it ran last is run once more, call by call.</param>
    /// <param name="layers">Layers of the model.</param>
    /// <param name="work">What of the step was real.</param>
    /// <param name="bandwidth">What the device was measured to read, in bytes per second; 0: not measured.</param>
    public static void Print(string title, Runner runner, int layers, Workload work, double bandwidth)
    {
        runner.Profile(); // once to warm up
        var calls = runner.Profile();
        double all = calls.Sum(c => c.Seconds);
        Console.WriteLine($"{title}: {1000 * all:F2} ms in {calls.Count} calls, {(calls.Count - Apart) / layers} a layer and {Apart} apart");
        Console.WriteLine($"  {"op",-34} {"calls",4}   {"µs",9}    {"time",5}   {"GB/s",7} {"% read",6} {"GFLOP/s",9}");
        foreach (var stage in calls.GroupBy(c => Name(c.Call)).OrderByDescending(g => g.Sum(c => c.Seconds)))
        {
            double seconds = stage.Sum(c => c.Seconds), rate = stage.Sum(c => c.Call.Bytes(work)) / seconds,
                flops = stage.Sum(c => c.Call.Flops(work)) / seconds;
            string share = bandwidth > 0 ? $"{100 * rate / bandwidth,6:F0}" : $"{"-",6}";
            Console.WriteLine($"  {stage.Key,-34} {stage.Count(),4} x {1e6 * seconds / stage.Count(),9:F1} µs {100 * seconds / all,4:F0} %  "
                + $"{rate / 1e9,7:F1} {share} {flops / 1e9,9:F1}");
        }
    }

    /// <summary>The op, with its matrix where it has one.</summary>
    static string Name(Call call)
    {
        int at = Array.IndexOf(call.Kernel.Bindings, "w:in");
        return at < 0 || call.Tensors[at] is not { RowCount: > 1 } w ? call.Kernel.Name : $"{call.Kernel.Name} ({w.RowCount}, {w.Cols}) {w.Type.Name()}";
    }
}
