using System.Buffers.Binary;
using System.IO.Hashing;

namespace Tessera.Runtime.Files;

/// <summary>The first 64 bytes of a tiled file; README.md beside this file draws them.</summary>
readonly record struct TiledHeader(long IndexOffset, long IndexBytes, long FileBytes, UInt128 IndexHash)
{
    public const int Bytes = 64;
    public const uint Version = 1;
    public const int Alignment = 4096;
    public const long MaxIndexBytes = 8 << 20;

    static ReadOnlySpan<byte> Magic => "TESSERA\u001a"u8;

    public void Write(Span<byte> to)
    {
        to[..Bytes].Clear();
        Magic.CopyTo(to);
        BinaryPrimitives.WriteUInt32LittleEndian(to[8..], Version);
        BinaryPrimitives.WriteInt64LittleEndian(to[16..], IndexOffset);
        BinaryPrimitives.WriteInt64LittleEndian(to[24..], IndexBytes);
        BinaryPrimitives.WriteInt64LittleEndian(to[32..], FileBytes);
        BinaryPrimitives.WriteUInt128LittleEndian(to[40..], IndexHash);
        BinaryPrimitives.WriteUInt64LittleEndian(to[56..], XxHash3.HashToUInt64(to[..56]));
    }

    /// <summary>Reads and checks the header against the file's real size.</summary>
    public static TiledHeader Read(string file, ReadOnlySpan<byte> from, long fileBytes)
    {
        if (from.Length < Bytes || !from[..8].SequenceEqual(Magic))
            throw new TesseraException($"{file}: expected a .tessera file, found something else; make one with tools/convert");
        uint version = BinaryPrimitives.ReadUInt32LittleEndian(from[8..]);
        if (version != Version)
            throw new TesseraException(
                $"{file}: expected format version {Version}, found {version}; {(version > Version ? "use a newer Tessera" : "convert the model again")}");
        if (BinaryPrimitives.ReadUInt64LittleEndian(from[56..]) != XxHash3.HashToUInt64(from[..56]))
            throw new TesseraException($"{file}: the header does not match its checksum; the file was altered, convert the model again");
        var header = new TiledHeader(BinaryPrimitives.ReadInt64LittleEndian(from[16..]), BinaryPrimitives.ReadInt64LittleEndian(from[24..]),
            BinaryPrimitives.ReadInt64LittleEndian(from[32..]), BinaryPrimitives.ReadUInt128LittleEndian(from[40..]));
        if (header.FileBytes != fileBytes)
            throw new TesseraException(
                $"{file}: expected {header.FileBytes} bytes, found {fileBytes}; the file was cut off or extended, copy or convert it again");
        if (header.IndexBytes is <= 0 or > MaxIndexBytes || header.IndexOffset < Bytes || header.IndexOffset > fileBytes - header.IndexBytes)
            throw new TesseraException(
                $"{file}: the index of {header.IndexBytes} bytes at {header.IndexOffset} does not lie within the file's {fileBytes} bytes");
        return header;
    }
}
