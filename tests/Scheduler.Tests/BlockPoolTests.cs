using CsCheck;
using Xunit;

namespace Tessera.Scheduling.Tests;

/// <summary>Blocks are held, cached or free, and never two of these.</summary>
public class BlockPoolTests
{
    static int[] Take(BlockPool pool, int count) => [.. Enumerable.Range(0, count).Select(_ => pool.Take())];

    [Fact]
    public void A_pool_gives_every_block_once()
    {
        var pool = new BlockPool(5);
        Assert.Equal([0, 1, 2, 3, 4], Take(pool, 5).Order());
        Assert.Equal((-1, 0, 0, 5), (pool.Take(), pool.Free, pool.Cached, pool.Held));
    }

    [Fact]
    public void A_named_block_is_found_until_it_is_taken_again()
    {
        var pool = new BlockPool(3);
        int[] blocks = Take(pool, 2);
        pool.Publish(blocks[0], 7);
        pool.Release(blocks);
        Assert.Equal((2, 1, 0), (pool.Free, pool.Cached, pool.Held));
        Assert.True(pool.TryFind(7, out int found) && found == blocks[0]);
        pool.Hold(found);
        pool.Hold(found); // two share it
        Assert.Equal((2, 0, 1, 2), (pool.Free, pool.Cached, pool.Held, pool.References(found)));
        pool.Release([found]);
        Assert.Equal(1, pool.Held);
        pool.Release([found]);
        Assert.DoesNotContain(found, Take(pool, 2)); // free ones first
        Assert.Equal(found, pool.Take());
        Assert.False(pool.TryFind(7, out _));
    }

    [Fact]
    public void The_end_of_a_prefix_is_lost_before_its_beginning_and_the_older_prefix_before_the_newer()
    {
        var pool = new BlockPool(6);
        int[] old = Take(pool, 3), recent = Take(pool, 3);
        for (int i = 0; i < 3; i++)
        {
            pool.Publish(old[i], (UInt128)(10 + i));
            pool.Publish(recent[i], (UInt128)(20 + i));
        }
        pool.Release(old);
        pool.Release(recent);
        Assert.Equal([old[2], old[1], old[0], recent[2], recent[1], recent[0]], Take(pool, 6));
    }

    [Fact]
    public void A_block_that_is_not_full_is_the_first_to_be_taken_again()
    {
        var pool = new BlockPool(4);
        int[] blocks = Take(pool, 3);
        pool.Publish(blocks[0], 1);
        pool.Publish(blocks[1], 2);
        pool.Release(blocks);
        Assert.Equal(blocks[2], pool.Take());
    }

    [Fact]
    public void Of_two_blocks_with_one_content_the_first_is_found_and_the_second_is_free_when_released()
    {
        var pool = new BlockPool(2);
        int[] blocks = Take(pool, 2);
        pool.Publish(blocks[0], 9);
        pool.Publish(blocks[1], 9);
        Assert.Null(pool.Name(blocks[1]));
        pool.Release(blocks);
        Assert.Equal((1, 1), (pool.Free, pool.Cached));
        Assert.True(pool.TryFind(9, out int found) && found == blocks[0]);
        Assert.Equal([blocks[1], blocks[0]], Take(pool, 2)); // what is free goes first, and a name with its block
        Assert.Equal((0, 0, false), (pool.Free, pool.Cached, pool.TryFind(9, out _)));
    }

    /// <summary>Against a model that keeps a set of holders for each block.</summary>
    [Fact]
    public void Any_order_of_taking_sharing_naming_and_releasing_leaks_nothing() =>
        Gen.Select(Gen.Int[1, 12], Gen.Select(Gen.Int[0, 4], Gen.Int[0, 1000]).Array[0, 80]).Sample((blocks, acts) =>
        {
            var pool = new BlockPool(blocks);
            var holders = new List<List<int>>(); // the blocks of each
            foreach (var (act, which) in acts)
            {
                var one = holders.Count > 0 ? holders[which % holders.Count] : null;
                if (act == 0) holders.Add([]);
                if (act == 1 && one is not null && pool.Take() is >= 0 and int taken)
                {
                    Assert.DoesNotContain(holders, h => h.Contains(taken));
                    one.Add(taken);
                }
                if (act == 2 && one is { Count: > 0 }) pool.Publish(one[which % one.Count], (UInt128)(which % 7));
                if (act == 3 && one is not null && pool.TryFind((UInt128)(which % 7), out int found) && !one.Contains(found))
                {
                    pool.Hold(found);
                    one.Add(found);
                }
                if (act == 4 && one is not null)
                {
                    pool.Release([.. one]);
                    holders.Remove(one);
                }
                for (int block = 0; block < blocks; block++) Assert.Equal(holders.Count(h => h.Contains(block)), pool.References(block));
                Assert.Equal(holders.SelectMany(h => h).Distinct().Count(), pool.Held);
                Assert.Equal(blocks, pool.Free + pool.Cached + pool.Held);
                Assert.Equal(Enumerable.Range(0, blocks).Count(b => pool.References(b) == 0 && pool.Name(b) is not null), pool.Cached);
            }
        }, iter: 2000, seed: "0N0XIzNsQ0O2", threads: 1);
}
