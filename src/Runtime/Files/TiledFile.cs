using System.IO.Hashing;
using System.IO.MemoryMappedFiles;
using System.Text.Json;
using Tessera.Shaders;

namespace Tessera.Runtime.Files;

/// <summary>A tiled file, mapped read-only. Opening checks sizes, header, the index's hash and every segment's place and shape; <see cref="Corrupted"/> checks contents.</summary>
/// <remarks>The mapping lives until <see cref="Dispose"/>: whoever computes out of it keeps the file and disposes it last.</remarks>
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
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            long bytes = stream.Length;
            Span<byte> first = stackalloc byte[TiledHeader.Bytes];
            int read = stream.ReadAtLeast(first, first.Length, throwOnEndOfStream: false);
            var header = TiledHeader.Read(path, first[..read], bytes);
            var map = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            file = new TiledFile(path, map, bytes);
            file.ReadIndex(header);
            return file;
        }
        catch (Exception e)
        {
            file?.Dispose();
            if (e is FileNotFoundException or DirectoryNotFoundException) throw new TesseraException($"{path}: there is no such file", e);
            if (e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException) throw new TesseraException($"{path}: cannot be read: {e.Message}", e);
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
    public IEnumerable<string> Corrupted(Action<long>? progress = null)
    {
        foreach (var segment in Index.Segments)
        {
            if (Hash(segment, progress) != segment.Hash) yield return segment.Name;
        }
    }

    string Hash(TiledSegment segment, Action<long>? progress)
    {
        var hash = new XxHash128();
        const int Piece = 16 << 20;
        for (long at = 0; at < segment.Bytes; at += Piece)
        {
            int count = (int)Math.Min(Piece, segment.Bytes - at);
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
        catch (Exception e) when (e is JsonException or NotSupportedException or InvalidOperationException) { throw new TesseraException($"{Path}: the index cannot be read{((e as JsonException)?.Path is { } at ? $" at {at}" : "")}; convert the model again", e); }
        if (Index.Architecture != "qwen3")
            throw new TesseraException($"{Path}: expected architecture qwen3, found '{Index.Architecture}'");
        if (Index.Config is null || Index.Generation is null || Index.Segments is null) throw new TesseraException($"{Path}: the index lacks its config, generation or segments");
        if (Index.Name is null || Index.Name.Any(char.IsControl)) throw new TesseraException($"{Path}: expected a name without control characters, found '{Index.Name}'");
        Index.Config.Check(Path);
        Index.Generation.Check(Path);
        long end = TiledHeader.Bytes;
        foreach (var s in Index.Segments)
        {
            if (s?.Name is null || s.Name.Any(char.IsControl) || !byName.TryAdd(s.Name, s)) throw new TesseraException($"{Path}: segment '{s?.Name}' appears twice or has no plain name");
            long expected = ExpectedBytes(s);
            if (s.Bytes != expected) throw new TesseraException($"{Path}: segment '{s.Name}' {s.Type} ({s.Rows}, {s.Cols}): expected {expected} bytes, found {s.Bytes}");
            if (s.Offset < end || s.Offset % TiledHeader.Alignment != 0 || s.Offset > header.IndexOffset - s.Bytes)
                throw new TesseraException($"{Path}: segment '{s.Name}' of {s.Bytes} bytes at {s.Offset} is out of place: it must lie aligned between {end} and {header.IndexOffset}");
            end = s.Offset + s.Bytes;
        }
    }

    long ExpectedBytes(TiledSegment s)
    {
        if (s.Rows < 0 || s.Cols < 0 || s.Experts is <= 0 or > RouterOp.MaxExperts || (long)s.Rows * s.Cols > Bytes)
            throw new TesseraException($"{Path}: segment '{s.Name}' of shape ({s.Rows}, {s.Cols}) for {s.Experts ?? 1} experts does not lie within the file's {Bytes} bytes");
        return s.Type switch
        {
            SegmentTypes.Bytes => s.Bytes is >= 0 and <= int.MaxValue ? s.Bytes : -1,
            SegmentTypes.Vector => 4L * s.Cols,
            _ => SegmentTypes.Panels(s.Type) is { } type ? (s.Experts ?? 1) * Tile.Bytes(type, s.Rows, s.Cols)
                : throw new TesseraException($"{Path}: segment '{s.Name}': expected type f32, bf16, f16, q8, vector or bytes, found '{s.Type}'"),
        };
    }
}

/// <summary>The types of segments.</summary>
public static class SegmentTypes
{
    public const string Vector = "vector", Bytes = "bytes";

    /// <summary>The type of a matrix in panels, or null.</summary>
    public static DType? Panels(string name) => name switch
    {
        "f32" => DType.F32,
        "bf16" => DType.BF16,
        "f16" => DType.F16,
        "q8" => DType.Q8,
        _ => null,
    };
}
