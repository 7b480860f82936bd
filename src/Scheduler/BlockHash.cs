using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Tessera.Shaders;

namespace Tessera.Scheduling;

/// <summary>
/// The name of what a full block holds: a chain of SHA-256, cut to 128 bits, over its 16 ids and all before them. Cryptographic, so that nobody can make two
/// contents with one name and be served another's cache.
/// </summary>
static class BlockHash
{
    const int Bytes = 16;

    /// <summary>What the chain begins with: requests of different salts share nothing.</summary>
    public static UInt128 Root(string? salt)
    {
        if (salt is null) return UInt128.Zero;
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(salt), hash);
        return BinaryPrimitives.ReadUInt128LittleEndian(hash);
    }

    /// <summary>The hash of a block behind <paramref name="parent"/>.</summary>
    /// <param name="ids">The block's 16 ids.</param>
    public static UInt128 Next(UInt128 parent, ReadOnlySpan<int> ids)
    {
        Span<byte> content = stackalloc byte[Bytes + 4 * KvBlock.Tokens], hash = stackalloc byte[SHA256.HashSizeInBytes];
        BinaryPrimitives.WriteUInt128LittleEndian(content, parent);
        for (int i = 0; i < KvBlock.Tokens; i++) BinaryPrimitives.WriteInt32LittleEndian(content[(Bytes + 4 * i)..], ids[i]);
        SHA256.HashData(content, hash);
        return BinaryPrimitives.ReadUInt128LittleEndian(hash);
    }
}
