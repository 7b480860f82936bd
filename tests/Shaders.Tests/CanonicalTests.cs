using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>Products of quantised weights with quantised activations have the same bits everywhere.</summary>
public class CanonicalTests(OpenDevices devices) : IClassFixture<OpenDevices>
{
    public static TheoryData<string, string, string> Cases()
    {
        var cases = new TheoryData<string, string, string>();
        foreach (var op in OpCatalog.All.Where(o => o.Kernel.Canonical is not null))
            foreach (string device in TestDevices.Names.Select(d => d.Data))
                foreach (var one in op.Cases.Equality.Where(c => c.Types.Split(' ') is [_, "a8"]))
                    cases.Add(new TheoryDataRow<string, string, string>(device, op.Name, one.Name).WithTrait("op", op.Name));
        return cases;
    }

    [Theory, MemberData(nameof(Cases))]
    public void Products_have_the_canonical_bits(string device, string op, string name)
    {
        var one = OpCatalog.All.Single(o => o.Name == op).Cases.Equality.Single(c => c.Name == name);
        var operands = one.Operands();
        using var run = new OpRun(devices[device], operands);
        run.Run((gpu, t) => one.Launch(gpu, [.. operands.Select(t)])).CheckCanonical();
    }

    /// <summary>All of K, in order; what is longer than the slices is shared as evenly as tiles allow.</summary>
    [Theory]
    [InlineData(1), InlineData(31), InlineData(32), InlineData(33), InlineData(96), InlineData(127), InlineData(1000)]
    public void Slices_cover_every_tile_once(int tiles)
    {
        Assert.Equal(0, Tile.SliceStart(tiles, 0));
        Assert.Equal(tiles, Tile.SliceStart(tiles, Tile.Slices));
        var lengths = Enumerable.Range(0, Tile.Slices).Select(s => Tile.SliceStart(tiles, s + 1) - Tile.SliceStart(tiles, s));
        Assert.InRange(lengths.Max() - lengths.Min(), 0, 1);
    }
}
