using Tessera.Runtime.Devices;
using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>A race shows as an answer that moves: the race cases of all ops run many times beside each other, and every run must give the bits of the
/// first.</summary>
public class RaceTests
{
    public static TheoryData<string> Devices => TestDevices.Complete;

    [Theory, MemberData(nameof(Devices))]
    public void The_same_bits_every_time(string device) => Run(TestDevices.Open(device), repeats: 40);

    [Fact]
    public void The_same_bits_with_any_number_of_threads()
    {
        var one = Run(TestDevices.Open("host", threads: 1), repeats: 1);
        foreach (int threads in new[] { 2, 3, 5, 8 }) Same(one, Run(TestDevices.Open("host", threads), repeats: 5)); // other orders, other shares
    }

    /// <summary>What each case writes, by name.</summary>
    static Dictionary<string, byte[]> Run(IDevice opened, int repeats)
    {
        using var device = opened;
        var calls = OpCatalog.All.SelectMany(op => op.Cases.Race.Select(one => (Name: $"{op.Name} {one.Name}", one.Launch, Operands: one.Operands()))).ToList();
        using var run = new OpRun(device, calls.SelectMany(c => c.Operands));
        run.Run((gpu, t) => { foreach (var call in calls) call.Launch(gpu, [.. call.Operands.Select(t)]); });
        var first = Written();
        for (int i = 0; i < repeats; i++)
        {
            run.ReplayAfresh();
            Same(first, Written());
        }
        return first;

        Dictionary<string, byte[]> Written() =>
            calls.ToDictionary(c => c.Name, c => c.Operands.OfType<Operand>().Where(o => o.Bound is not null).SelectMany(run.Read).ToArray());
    }

    static void Same(Dictionary<string, byte[]> expected, Dictionary<string, byte[]> actual)
    {
        foreach (var (name, bytes) in expected) Assert.True(bytes.AsSpan().SequenceEqual(actual[name]), $"{name}: other bits than before");
    }
}
