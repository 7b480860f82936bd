using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;

namespace Tessera.Convert.Tests;

/// <summary>The bytes of a tiled file, to be changed with hashes that match: what an attacker would write.</summary>
static class TiledBytes
{
    public static int IndexOffset(byte[] file) => (int)BinaryPrimitives.ReadInt64LittleEndian(file.AsSpan(16));

    public static string Index(byte[] file) =>
        Encoding.UTF8.GetString(file.AsSpan(IndexOffset(file), (int)BinaryPrimitives.ReadInt64LittleEndian(file.AsSpan(24))));

    /// <summary>The file with another index, and, where it is given, a header that says the index lies elsewhere.</summary>
    public static byte[] WithIndex(byte[] whole, string json, long? at = null)
    {
        int offset = IndexOffset(whole);
        byte[] text = Encoding.UTF8.GetBytes(json), file = [.. whole[..offset], .. text];
        BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(16), at ?? offset);
        BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(24), text.Length);
        BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(32), (at ?? offset) + text.Length);
        BinaryPrimitives.WriteUInt128LittleEndian(file.AsSpan(40), XxHash128.HashToUInt128(text));
        return WithHeaderHash(file);
    }

    public static byte[] WithHeaderHash(byte[] file)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(56), XxHash3.HashToUInt64(file.AsSpan(0, 56)));
        return file;
    }
}
