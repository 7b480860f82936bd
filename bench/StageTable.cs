using Tessera.Runtime.Models;
using Tessera.Shaders;

namespace Tessera.Bench;

/// <summary>Where a step's time goes: its calls by op and shape, with what they read.</summary>
static class StageTable
{
    const int Apart = 5; // embedding, gather, norm, head, candidates

    /// <summary>Prints the last step of a runner.</summary>
    /// <param name="title">Which step it was.</param>
    /// <param name="runner">The step that it ran last is run once more, call by call.</param>
    /// <param name="layers">Layers of the model.</param>
    public static void Print(string title, Runner runner, int layers)
    {
        runner.Profile(); // once to warm up
        var calls = runner.Profile();
        double all = calls.Sum(c => c.Seconds);
        Console.WriteLine($"{title}: {1000 * all:F2} ms in {calls.Count} calls, {(calls.Count - Apart) / layers} a layer and {Apart} apart");
        foreach (var stage in calls.GroupBy(c => Name(c.Call)).OrderByDescending(g => g.Sum(c => c.Seconds)))
        {
            double seconds = stage.Sum(c => c.Seconds), bytes = stage.Sum(c => (double)(Weights(c.Call) is { IsNone: false } w ? w.Bytes : 0));
            Console.WriteLine(
                $"  {stage.Key,-34} {stage.Count(),4} x {1e6 * seconds / stage.Count(),9:F1} µs {100 * seconds / all,4:F0} "
                + $"%{(bytes > 0 ? $"  {bytes / seconds / 1e9,7:F1} GB/s" : "")}");
        }
    }

    static string Name(Call call) => Weights(call) is { IsNone: false } w ? $"{call.Kernel.Name} ({w.RowCount}, {w.Cols}) {w.Type.Name()}" : call.Kernel.Name;

    static Tensor Weights(Call call) =>
        call.Kernel == MatMulOp.Kernel ? call.Tensors[MatMulOp.W] : call.Kernel == GateUpOp.Kernel ? call.Tensors[GateUpOp.W] : Tensor.None;
}
