using Tessera.Runtime.Devices.Ilgpu;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>The driver's calls that make a graph of launches, with a driver that is made up: their order, and what happens where one fails.</summary>
public class CudaGraphTests
{
    readonly List<string> log = [];

    CudaGraphs Graphs(string failing = "", nint graph = 7)
    {
        int Call(string name, params nint[] with)
        {
            log.Add($"{name} {string.Join(' ', with)}");
            return name == failing ? 901 : 0;
        }
        return new(new(
            (stream, mode) => Call("begin", stream, mode),
            (nint stream, out nint made) =>
            {
                made = failing == "end" ? 0 : graph;
                return Call("end", stream);
            },
            (nint of, out nint made) =>
            {
                made = failing == "instantiate" ? 0 : 9;
                return Call("instantiate", of);
            },
            (executable, stream) => Call("launch", executable, stream), of => Call("destroy graph", of), of => Call("destroy", of)), 5);
    }

    Action[] Launches => [() => log.Add("first"), () => log.Add("second")];

    [Fact]
    public void Launches_are_captured_once_and_replayed_by_one_call()
    {
        var graphs = Graphs();
        nint executable = graphs.Capture(Launches, out string? reason);
        graphs.Launch(executable);
        graphs.Launch(executable);
        graphs.Destroy(executable);
        Assert.Null(reason);
        Assert.Equal(["begin 5 2", "first", "second", "end 5", "instantiate 7", "destroy graph 7", "launch 9 5", "launch 9 5", "destroy 9"], log);
    }

    [Theory]
    [InlineData("begin", "CUDA cannot begin to capture (error 901)", "begin 5 2")]
    [InlineData("end", "CUDA cannot end to capture (error 901)", "begin 5 2", "first", "second", "end 5")]
    [InlineData("instantiate", "CUDA cannot instantiate what was captured (error 901)", "begin 5 2", "first", "second", "end 5", "instantiate 7",
        "destroy graph 7")]
    public void What_cannot_be_captured_has_a_reason_and_leaves_nothing(string failing, string expected, params string[] calls)
    {
        Assert.Equal(0, Graphs(failing).Capture(Launches, out string? reason));
        Assert.Equal(expected, reason);
        Assert.Equal(calls, log);
    }

    [Fact]
    public void A_launch_that_fails_ends_the_capture()
    {
        Assert.Equal(0, Graphs().Capture([() => throw new InvalidOperationException("not allowed")], out string? reason));
        Assert.Equal("a launch fails while it is captured: not allowed", reason);
        Assert.Equal(["begin 5 2", "end 5", "destroy graph 7"], log);
    }

    [Fact]
    public void An_empty_capture_and_a_refused_replay_are_told()
    {
        Assert.Equal(0, Graphs(graph: 0).Capture(Launches, out string? reason));
        Assert.Equal("CUDA captured nothing", reason);
        Assert.Contains("error 901", Assert.Throws<TesseraException>(() => Graphs("launch").Launch(9)).Message);
    }
}
