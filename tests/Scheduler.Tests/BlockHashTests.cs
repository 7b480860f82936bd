using System.Buffers.Binary;
using System.Security.Cryptography;
using Xunit;

namespace Tessera.Scheduling.Tests;

public class BlockHashTests
{
    static readonly int[] ids = [.. Enumerable.Range(100, 16)];

    [Fact]
    public void It_is_SHA_256_over_the_parent_and_the_ids_cut_to_128_bits()
    {
        byte[] content = [.. Enumerable.Range(0, 80).Select(i => (byte)(i == 0 ? 5 : i >= 16 && i % 4 == 0 ? 100 + (i - 16) / 4 : 0))];
        Assert.Equal(BinaryPrimitives.ReadUInt128LittleEndian(SHA256.HashData(content)), BlockHash.Next(5, ids));
    }

    [Fact]
    public void Every_id_its_place_and_all_before_it_count()
    {
        var hashes = new HashSet<UInt128> { BlockHash.Next(0, ids), BlockHash.Next(1, ids), BlockHash.Next(BlockHash.Next(0, ids), ids) };
        for (int i = 0; i < 16; i++)
        {
            int[] other = [.. ids];
            other[i] += 1 << 20;
            hashes.Add(BlockHash.Next(0, other));
            (other[i], other[(i + 1) % 16]) = (ids[(i + 1) % 16], ids[i]);
            hashes.Add(BlockHash.Next(0, other));
        }
        Assert.Equal(3 + 32, hashes.Count);
    }

    [Fact]
    public void Requests_of_different_salts_share_nothing()
    {
        UInt128[] roots = [BlockHash.Root(null), BlockHash.Root(""), BlockHash.Root("a"), BlockHash.Root("b")];
        Assert.Equal(4, roots.Select(root => BlockHash.Next(root, ids)).Distinct().Count());
        Assert.Equal(BlockHash.Root("a"), BlockHash.Root("a"));
    }
}
