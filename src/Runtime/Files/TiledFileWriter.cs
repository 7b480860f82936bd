using System.IO.Hashing;

namespace Tessera.Runtime.Files;

/// <summary>Writes a tiled file that takes its name when it is whole and on disk; until then, and on any failure, what was there stays.</summary>
public sealed class TiledFileWriter : IDisposable
{
    readonly string path;
    readonly PartialFile file;
    readonly List<TiledSegment> segments = [];
    readonly SegmentWriter writer;

    /// <exception cref="TesseraException">The path names no file that may be written or replaced: a folder, a link, a device.</exception>
    public TiledFileWriter(string path)
    {
        this.path = path;
        file = new PartialFile(path);
        writer = new SegmentWriter(path, file.Handle) { At = TiledHeader.Alignment }; // the header has the first page for itself
    }

    /// <summary>Appends a segment, whose bytes <paramref name="write"/> gives.</summary>
    public void Add(string name, string type, int rows, int cols, Action<SegmentWriter> write, int? experts = null)
    {
        long offset = writer.At = (writer.At + TiledHeader.Alignment - 1) / TiledHeader.Alignment * TiledHeader.Alignment;
        write(writer);
        var segment = new TiledSegment(name, type, rows, cols, offset, writer.At - offset, writer.TakeHash(), experts);
        segment.Check(path);
        segments.Add(segment);
    }

    /// <summary>Writes index and header, forces all to disk and gives the file its name.</summary>
    public void Finish(Func<List<TiledSegment>, TiledIndex> index)
    {
        long offset = (writer.At + 7) / 8 * 8;
        byte[] json = index(segments).ToJson();
        if (json.Length > TiledHeader.MaxIndexBytes)
            throw new TesseraException($"{path}: an index of {json.Length} bytes, expected at most {TiledHeader.MaxIndexBytes}");
        Span<byte> header = stackalloc byte[TiledHeader.Bytes];
        new TiledHeader(offset, json.Length, offset + json.Length, XxHash128.HashToUInt128(json)).Write(header);
        writer.Put(json, offset);
        writer.Put(header, 0);
        try { file.Finish(); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw writer.Failed(e); }
    }

    public void Dispose() => file.Dispose();
}
