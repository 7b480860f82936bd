using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Ilgpu;

/// <summary>Prebound launches, in order; where there is a graph of them, it replays them.</summary>
sealed class IlgpuRecording(Call[] calls, Action[] launches, CudaGraphs? graphs, nint graph) : Recording(calls)
{
    nint graph = graph;

    public Action[] Launches { get; } = launches;

    public void Replay()
    {
        if (graph != 0) graphs!.Launch(graph);
        else
            foreach (var launch in Launches) launch();
    }

    /// <summary>The driver keeps what still runs.</summary>
    public override void Dispose()
    {
        if (graph != 0) graphs!.Destroy(graph);
        graph = 0;
    }
}
