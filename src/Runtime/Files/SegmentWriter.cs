using System.IO.Hashing;
using Microsoft.Win32.SafeHandles;

namespace Tessera.Runtime.Files;

/// <summary>Takes the bytes of a segment: in order, or, where two planes are made together, the second ahead of its turn. Nothing is kept in memory.</summary>
public sealed class SegmentWriter
{
    const int ReadBytes = 1 << 20;

    readonly string path;
    readonly SafeFileHandle file;
    readonly XxHash128 hash = new();

    internal SegmentWriter(string path, SafeFileHandle file) => (this.path, this.file) = (path, file);

    /// <summary>The offset of the next byte in the file.</summary>
    internal long At { get; set; }

    public void Append(ReadOnlySpan<byte> bytes)
    {
        hash.Append(bytes);
        Put(bytes, At);
        At += bytes.Length;
    }

    /// <summary>Writes bytes whose turn comes after <paramref name="distance"/> others; <see cref="AppendWritten"/> takes them then.</summary>
    public void WriteAhead(ReadOnlySpan<byte> bytes, long distance) => Put(bytes, At + distance);

    /// <summary>Appends the next bytes, which were all written ahead: the hash is of bytes in order, so they are read back.</summary>
    public void AppendWritten(long bytes)
    {
        var buffer = new byte[(int)Math.Min(bytes, ReadBytes)];
        for (long end = At + bytes; At < end;)
        {
            var next = buffer.AsSpan(0, (int)Math.Min(buffer.Length, end - At));
            int read;
            try { read = RandomAccess.Read(file, next, At); }
            catch (IOException e) { throw Failed(e); }
            if (read == 0) throw new TesseraException($"{path}: was cut off while it was written; nothing was left behind, convert again");
            hash.Append(next[..read]);
            At += read;
        }
    }

    internal string TakeHash()
    {
        string hex = TiledFile.Hex(hash);
        hash.Reset();
        return hex;
    }

    internal void Put(ReadOnlySpan<byte> bytes, long offset)
    {
        try { RandomAccess.Write(file, bytes, offset); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Failed(e); }
    }

    internal TesseraException Failed(Exception e) => IsDiskFull(e)
        ? new($"{path}: the disk is full, {At} bytes were written; nothing was left behind, free some space or choose another place", e)
        : new($"{path}: cannot be written after {At} bytes: {e.Message}; nothing was left behind", e);

    /// <summary>ENOSPC and EDQUOT, ERROR_DISK_FULL and ERROR_HANDLE_DISK_FULL of Windows.</summary>
    static bool IsDiskFull(Exception e) => OperatingSystem.IsWindows() ? (e.HResult & 0xffff) is 112 or 39
        : e.HResult == 28 || e.HResult == (OperatingSystem.IsMacOS() ? 69 : 122);
}
