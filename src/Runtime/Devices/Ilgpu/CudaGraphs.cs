using System.Runtime.InteropServices;

namespace Tessera.Runtime.Devices.Ilgpu;

/// <summary>What of CUDA's driver ILGPU does not call. A result other than 0 is an error.</summary>
/// <param name="BeginCapture">Of a stream, in a mode.</param>
/// <param name="EndCapture">Of a stream: gives the graph.</param>
/// <param name="Instantiate">Of a graph: gives what can be launched.</param>
/// <param name="Launch">What can be launched, on a stream.</param>
/// <param name="DestroyGraph">A graph.</param>
/// <param name="Destroy">What can be launched.</param>
sealed record CudaGraphCalls(Func<nint, int, int> BeginCapture, CudaGraphCalls.Get EndCapture, CudaGraphCalls.Get Instantiate, Func<nint, nint, int> Launch,
    Func<nint, int> DestroyGraph, Func<nint, int> Destroy)
{
    public delegate int Get(nint of, out nint handle);

    delegate int OfTwo(nint first, nint second);
    delegate int OfMode(nint stream, int mode);
    delegate int OfOne(nint handle);
    delegate int WithFlags(out nint executable, nint graph, ulong flags);

    /// <summary>Out of the driver's library; null where there is none, or one from before CUDA 11.4.</summary>
    public static CudaGraphCalls? OfDriver()
    {
        if (!NativeLibrary.TryLoad(OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1", out nint library)) return null;
        T? Named<T>(string name) where T : Delegate =>
            NativeLibrary.TryGetExport(library, name, out nint at) ? Marshal.GetDelegateForFunctionPointer<T>(at) : null;
        return Named<OfMode>("cuStreamBeginCapture_v2") is { } begin && Named<Get>("cuStreamEndCapture") is { } end
            && Named<WithFlags>("cuGraphInstantiateWithFlags") is { } instantiate && Named<OfTwo>("cuGraphLaunch") is { } launch
            && Named<OfOne>("cuGraphDestroy") is { } destroyGraph && Named<OfOne>("cuGraphExecDestroy") is { } destroy
            ? new(begin.Invoke, end, (nint graph, out nint executable) => instantiate(out executable, graph, 0), launch.Invoke, destroyGraph.Invoke,
                destroy.Invoke)
            : null;
    }
}

/// <summary>Launches captured out of a stream, once, and replayed by one call of the driver.</summary>
sealed class CudaGraphs(CudaGraphCalls calls, nint stream)
{
    const int Relaxed = 2; // what is not captured may be called meanwhile, by this thread too

    /// <summary>What replays the launches; 0 where they cannot be captured, with the reason. None of them ran then.</summary>
    public nint Capture(ReadOnlySpan<Action> launches, out string? reason)
    {
        reason = Problem(calls.BeginCapture(stream, Relaxed), "begin to capture");
        if (reason is not null) return 0;
        try
        {
            foreach (var launch in launches) launch();
        }
        catch (Exception e) { reason = $"a launch fails while it is captured: {e.Message.Split('\n')[0]}"; }
        string? ended = Problem(calls.EndCapture(stream, out nint graph), "end to capture"); // in any case, else the stream goes on capturing
        reason ??= ended ?? (graph == 0 ? "CUDA captured nothing" : null);
        nint executable = 0;
        if (reason is null) reason = Problem(calls.Instantiate(graph, out executable), "instantiate what was captured");
        if (graph != 0) calls.DestroyGraph(graph);
        return reason is null ? executable : 0;
    }

    /// <exception cref="TesseraException">The driver refuses.</exception>
    public void Launch(nint executable)
    {
        if (calls.Launch(executable, stream) is not 0 and int error) throw new TesseraException($"CUDA cannot replay a graph (error {error})");
    }

    public void Destroy(nint executable) => calls.Destroy(executable);

    static string? Problem(int error, string what) => error == 0 ? null : $"CUDA cannot {what} (error {error})";
}
