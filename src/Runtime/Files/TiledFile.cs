using System.IO.Hashing;
using System.IO.MemoryMappedFiles;
using System.Text.Json;
using System.Text.Unicode;

namespace Tessera.Runtime.Files;

/// <summary>
/// A tiled file, mapped read-only. Opening checks sizes, header, the index's hash, every segment's place and shape, and the hashes of vectors
/// and text; <see cref="Corrupted"/> checks all contents.
/// </summary>
/// <remarks>
/// The mapping lives until <see cref="Dispose"/>: whoever computes out of it keeps the file and disposes it last.
/// Nobody may change a tiled file in place while it is open, or cut it off: the system then ends the process. Replacing it by renaming is safe.
/// </remarks>
public sealed unsafe class TiledFile : IDisposable
{
    readonly MemoryMappedFile map;
    readonly MemoryMappedViewAccessor view;
    readonly Dictionary<string, TiledSegment> byName = new(StringComparer.Ordinal);
    readonly byte* start;

    TiledFile(string path, MemoryMappedFile map, long bytes)
    {
        Path = path;
        this.map = map;
        view = map.CreateViewAccessor(0, bytes, MemoryMappedFileAccess.Read);
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        Bytes = bytes;
        Index = null!;
    }

    public string Path { get; }

    public long Bytes { get; }

    public TiledIndex Index { get; private set; }

    /// <exception cref="TesseraException">The file is missing, unreadable, cut off, altered, of another version, or holds segments that do not fit.</exception>
    public static TiledFile Open(string path)
    {
        TiledFile? file = null;
        try
        {
            using var handle = RegularFile.Open(path, FileShare.Read | FileShare.Delete);
            long bytes = RandomAccess.GetLength(handle);
            Span<byte> first = stackalloc byte[TiledHeader.Bytes];
            var header = TiledHeader.Read(path, first[..RandomAccess.Read(handle, first, 0)], bytes);
            var map = MemoryMappedFile.CreateFromFile(handle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            file = new TiledFile(path, map, bytes);
            file.ReadIndex(header);
            file.CheckSmall();
            return file;
        }
        catch (Exception e)
        {
            file?.Dispose();
            if (e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
                throw new TesseraException($"{path}: cannot be read: {e.Message}", e);
            throw;
        }
    }

    public bool Has(string name) => byName.ContainsKey(name);

    /// <summary>A segment that must be there.</summary>
    public TiledSegment Find(string name) =>
        byName.TryGetValue(name, out var segment) ? segment : throw new TesseraException($"{Path}: segment '{name}' is missing; convert the model again");

    /// <summary>The first byte of a segment; valid while the file is open.</summary>
    public byte* At(TiledSegment segment) => start + segment.Offset;

    /// <summary>The bytes of a small segment.</summary>
    public ReadOnlySpan<byte> Span(TiledSegment segment) => new(At(segment), checked((int)segment.Bytes));

    /// <summary>The names of segments whose bytes do not match their hash.</summary>
    public IEnumerable<string> Corrupted(Action<long>? progress = null, CancellationToken stop = default)
    {
        foreach (var segment in Index.Segments)
            if (Hash(segment, progress, stop) != segment.Hash) yield return segment.Name;
    }

    string Hash(TiledSegment segment, Action<long>? progress = null, CancellationToken stop = default)
    {
        const int Step = 4 << 20;
        var hash = new XxHash128();
        for (long at = 0; at < segment.Bytes; at += Step)
        {
            stop.ThrowIfCancellationRequested();
            int count = (int)Math.Min(Step, segment.Bytes - at);
            hash.Append(new ReadOnlySpan<byte>(At(segment) + at, count));
            progress?.Invoke(count);
        }
        return Hex(hash);
    }

    internal static string Hex(XxHash128 hash) => hash.GetCurrentHashAsUInt128().ToString("x32", System.Globalization.CultureInfo.InvariantCulture);

    public void Dispose()
    {
        view.SafeMemoryMappedViewHandle.ReleasePointer();
        view.Dispose();
        map.Dispose();
    }

    void ReadIndex(TiledHeader header)
    {
        var json = new ReadOnlySpan<byte>(start + header.IndexOffset, (int)header.IndexBytes);
        if (XxHash128.HashToUInt128(json) != header.IndexHash)
            throw new TesseraException($"{Path}: the index does not match its checksum; the file was altered, convert the model again");
        try { Index = TiledIndex.FromJson(json); }
        catch (Exception e) when (e is JsonException or NotSupportedException or InvalidOperationException)
        {
            string where = (e as JsonException)?.Path is { } at && !at.Any(char.IsControl) ? $" at {at}" : "";
            throw new TesseraException($"{Path}: the index cannot be read{where}; convert the model again", e);
        }
        if (Index.Architecture != "qwen3")
            throw new TesseraException($"{Path}: expected architecture qwen3, found '{Index.Architecture}'");
        if (Index.Config is null || Index.Generation is null || Index.Segments is null)
            throw new TesseraException($"{Path}: the index lacks its config, generation or segments");
        if (Index.Name is null || Index.Name.Any(char.IsControl)) throw new TesseraException($"{Path}: expected a name without control characters");
        Index.Config.Check(Path);
        Index.Generation.Check(Path);
        long end = TiledHeader.Bytes;
        foreach (var s in Index.Segments)
        {
            if (s is null) throw new TesseraException($"{Path}: a segment is null");
            s.Check(Path);
            if (!byName.TryAdd(s.Name, s)) throw new TesseraException($"{Path}: segment '{s.Name}' appears twice");
            if (s.Offset < end || s.Offset % TiledHeader.Alignment != 0 || s.Offset > header.IndexOffset - s.Bytes)
                throw new TesseraException($"{Path}: segment '{s.Name}' of {s.Bytes} bytes at {s.Offset} is out of place: "
                    + $"it must lie aligned between {end} and {header.IndexOffset}");
            end = s.Offset + s.Bytes;
        }
    }

    /// <summary>What is small is checked at once: a wrong byte in a norm or in the tokenizer would spoil every answer.</summary>
    void CheckSmall()
    {
        foreach (var segment in Index.Segments)
            if (segment.IsSmall && Hash(segment) != segment.Hash) throw Corrupt(segment.Name);
        if (byName.TryGetValue("chat_template", out var template) && !Utf8.IsValid(Span(template)))
            throw new TesseraException($"{Path}: the chat template holds text that is not Unicode; convert the model again");
    }

    /// <summary>The error of a segment that is not what was written.</summary>
    public TesseraException Corrupt(string name) => new($"{Path}: segment '{name}' does not match its checksum; the file was altered, convert the model again");
}
