using System.IO.Hashing;
using Microsoft.Win32.SafeHandles;

namespace Tessera.Runtime.Files;

/// <summary>Writes a tiled file beside its final name and renames it when it is whole and on disk; until then, and on any failure, the final name is untouched.</summary>
public sealed class TiledFileWriter : IDisposable
{
    readonly string path, beside;
    readonly SafeFileHandle handle;
    readonly List<TiledSegment> segments = [];
    readonly XxHash128 hash = new();
    long at = TiledHeader.Alignment;     // the header has the first page for itself
    bool whole;

    public TiledFileWriter(string path)
    {
        this.path = System.IO.Path.GetFullPath(path);
        beside = $"{this.path}.{Environment.ProcessId}.partial";
        try { handle = File.OpenHandle(beside, FileMode.Create, FileAccess.ReadWrite, FileShare.Read); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new TesseraException($"{path}: cannot be written: {e.Message}", e); }
    }

    /// <summary>Appends a segment whose bytes <paramref name="write"/> hands over in order, in pieces of any size.</summary>
    public void Add(string name, string type, int rows, int cols, Action<SegmentSink> write, int? experts = null)
    {
        at = (at + TiledHeader.Alignment - 1) / TiledHeader.Alignment * TiledHeader.Alignment;
        long offset = at;
        hash.Reset();
        write(Append);
        segments.Add(new TiledSegment(name, type, rows, cols, offset, at - offset, TiledFile.Hex(hash), experts));
    }

    /// <summary>Writes index and header, forces all to disk and gives the file its name.</summary>
    public void Finish(Func<List<TiledSegment>, TiledIndex> index)
    {
        long offset = (at + 7) / 8 * 8;
        byte[] json = index(segments).ToJson();
        Span<byte> header = stackalloc byte[TiledHeader.Bytes];
        new TiledHeader(offset, json.Length, offset + json.Length, XxHash128.HashToUInt128(json)).Write(header);
        Put(json, offset);
        Put(header, 0);
        try
        {
            RandomAccess.FlushToDisk(handle);
            handle.Dispose();
            File.Move(beside, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Failed(e); }
        whole = true;
    }

    public void Dispose()
    {
        handle.Dispose();
        if (whole) return;
        try { File.Delete(beside); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
    }

    void Append(ReadOnlySpan<byte> bytes)
    {
        hash.Append(bytes);
        Put(bytes, at);
        at += bytes.Length;
    }

    void Put(ReadOnlySpan<byte> bytes, long offset)
    {
        try { RandomAccess.Write(handle, bytes, offset); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Failed(e); }
    }

    TesseraException Failed(Exception e) => new($"{path}: cannot be written after {at} bytes: {e.Message}; nothing was left behind, free some space or choose another place", e);
}

/// <summary>Takes the next bytes of a segment.</summary>
public delegate void SegmentSink(ReadOnlySpan<byte> bytes);
