using System.Runtime.CompilerServices;
using Tessera.Runtime.Cache;
using Tessera.Runtime.Devices;
using Tessera.Runtime.Models;
using Tessera.Runtime.Tests.Devices;
using Tessera.Runtime.Tests.Models;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Runtime.Tests.Cache;

/// <summary>The cache stores: a pool of blocks, and a table that says whose they are, of which the device gets what changed.</summary>
public class KvCacheTests
{
    static KvCache Make(IDevice device) => new(device, DType.F16, layers: 1, kvHeads: 1, headDim: 32, blocks: 7, rows: 2, blocksPerRow: 3);

    [Fact]
    public void A_slot_is_where_the_table_says()
    {
        using var device = DeviceCatalog.Open("host");
        using var cache = Make(device);
        foreach (var (row, index, block) in new[] { (0, 0, 6), (0, 1, 2), (0, 2, 0), (1, 0, 6), (1, 1, 4) }) cache.Set(row, index, block);
        Assert.Equal(((int[])[6, 2, 0]).SelectMany(block => Enumerable.Range(16 * block, 16)), Enumerable.Range(0, 48).Select(i => cache.Slot(0, i)));
        Assert.Equal(((int[])[6, 4]).SelectMany(block => Enumerable.Range(16 * block, 16)), Enumerable.Range(0, 32).Select(i => cache.Slot(1, i)));
        cache.Set(0, 1, 5);
        Assert.Equal((16 * 5 + 15, 16 * 0), (cache.Slot(0, 31), cache.Slot(0, 32)));
        Assert.Equal((3, 2), (cache.CountOf(0), cache.CountOf(1)));
        Assert.Equal(48, cache.Context);
    }

    [Fact]
    public void A_position_without_a_block_is_an_error()
    {
        using var device = DeviceCatalog.Open("host");
        using var cache = Make(device);
        string Message(Action act)
        {
            string message = Assert.Throws<TesseraException>(act).Message;
            Assert.DoesNotContain('\n', message);
            return message;
        }
        Assert.Equal("position 0 of row 1: expected one whose block is set, found 0 blocks of 16 tokens", Message(() => cache.Slot(1, 0)));
        cache.Set(1, 0, 3);
        Assert.Equal(16 * 3 + 15, cache.Slot(1, 15));
        Assert.Contains("found 1 blocks", Message(() => cache.Slot(1, 16)));
        Assert.Contains("position -1 of row 1", Message(() => cache.Slot(1, -1)));
        Assert.Contains("of row 2", Message(() => cache.Slot(2, 0)));
        Assert.Contains("of row -1", Message(() => cache.Slot(-1, 0)));
        cache.Clear(1);
        Assert.Contains("found 0 blocks", Message(() => cache.Slot(1, 0)));

        // No holes: attention reads all that lies before a position.
        Assert.Equal("block table, row 1: expected place 0 to 0, found 1", Message(() => cache.Set(1, 1, 0)));
        Assert.Contains("expected row 0 to 1, found 2", Message(() => cache.Set(2, 0, 0)));
        Assert.Contains("expected block 0 to 6, found 7", Message(() => cache.Set(0, 0, 7)));
        Assert.Contains("found -1", Message(() => cache.Set(0, 0, -1)));
        for (int i = 0; i < 3; i++) cache.Set(0, i, i);
        Assert.Contains("expected place 0 to 2, found 3", Message(() => cache.Set(0, 3, 3)));
        using var small = new KvCache(device, DType.F16, 1, 1, 32, blocks: 5, rows: 2, blocksPerRow: 3);
        Assert.Contains("found 5", Message(small.SetRuns));
    }

    [Fact]
    public void Only_what_was_set_goes_to_the_device_and_a_lookup_allocates_nothing()
    {
        using var golden = new GoldenModel("tiny-f16");
        using var device = new FakeDevice("counting", 1L << 40);
        using var loaded = LoadedModel.From(golden.File, device);
        var config = golden.File.Index.Config;
        using var runner = new Runner(device, config, loaded.Weights, Numerics.Fast, config.Vocabulary, new BatchLimits(4, 4, 90, 20, 40, 0));
        var cache = runner.Cache;
        long Step()
        {
            runner.Batch.Clear();
            runner.Batch.Add(5, 7, 0, wanted: true);
            long before = device.Written;
            runner.Run();
            return device.Written - before;
        }
        for (int row = 0; row < 20; row++) cache.Set(row, 0, row + 1);
        Step();
        long plain = Step();
        long Changed(Action change)
        {
            change();
            return Step() - plain;
        }
        Assert.Equal(0, Changed(() => { }));
        Assert.Equal(4, Changed(() => cache.Set(7, 1, 40)));
        Assert.Equal(0, Changed(() => { }));
        Assert.Equal(8, Changed(() => { cache.Set(7, 2, 41); cache.Set(3, 1, 42); }));     // two rows
        Assert.Equal(12, Changed(() => { for (int i = 3; i < 6; i++) cache.Set(7, i, 43 + i); }));
        Assert.Equal(0, Changed(() => cache.Set(7, 2, 41)));                               // as it is
        Assert.Equal(0, Changed(() => cache.Clear(3)));
        Assert.Equal(4, Changed(() => { cache.Set(3, 0, 50); cache.Set(3, 1, 42); }));     // its second block is as before
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        int sum = 0;
        for (int i = 0; i < 96; i++) sum += cache.Slot(7, i);
        cache.Set(7, 6, 60);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - allocated);
        Assert.True(sum > 0);
    }

    [Fact]
    public void Angles_of_a_position_are_computed_once()
    {
        var config = Synthetic.Shapes["qwen3-0.6b"];
        var rope = new Rope(config.Rope, config.HeadDim, config.Context, positions: 100);
        foreach (int position in new[] { 99, 0, 17 })
        {
            var row = rope.Angles(position);
            Assert.Equal(config.HeadDim, row.Length);
            for (int i = 0; i < row.Length / 2; i++)
            {
                (double sin, double cos) = Math.SinCos(position * rope.InverseFrequencies[i]);
                Assert.Equal(((float)cos, (float)sin), (row[i], row[i + row.Length / 2]));
            }
            Unsafe.AsRef(in row[0]) = 3;
            Assert.Equal(3, rope.Angles(position)[0]);
        }
    }
}
