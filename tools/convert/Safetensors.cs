using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Tessera.Shaders;

namespace Tessera.Convert;

/// <summary>One tensor of a safetensors file: where its bytes lie, row-major; they need not be aligned.</summary>
public readonly unsafe record struct HfTensor(string File, string Name, DType Type, int[] Shape, nint Address)
{
    /// <summary>Element <paramref name="i"/> of a row of some type, which need not be aligned.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Element(byte* row, DType type, long i) => type switch
    {
        DType.F32 => Unsafe.ReadUnaligned<float>(row + i * 4),
        DType.BF16 => Elements.BFloat(Unsafe.ReadUnaligned<ushort>(row + i * 2)),
        _ => (float)Unsafe.ReadUnaligned<Half>(row + i * 2),
    };

    public byte* Row(int row) => (byte*)Address + (long)row * Shape[^1] * Type.ElementBytes();
}

/// <summary>A safetensors file, mapped: 8 bytes of header length, a JSON header, then the tensors without gaps. Nothing in it is trusted.</summary>
public sealed unsafe class Safetensors : IDisposable
{
    const long MaxHeaderBytes = 100 << 20;

    readonly MemoryMappedFile map;
    readonly MemoryMappedViewAccessor view;
    readonly string path;

    /// <exception cref="TesseraException">The file is cut off, or its header does not describe it.</exception>
    public Safetensors(string path)
    {
        this.path = path;
        long bytes;
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            bytes = stream.Length;
            if (bytes < 8) throw Wrong($"expected at least 8 bytes, found {bytes}");
            map = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            view = map.CreateViewAccessor(0, bytes, MemoryMappedFileAccess.Read);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new TesseraException($"{path}: cannot be read: {e.Message}", e); }
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        try { Tensors = Read(start, bytes); }
        catch
        {
            Dispose();
            throw;
        }
    }

    public Dictionary<string, HfTensor> Tensors { get; }

    public void Dispose()
    {
        view.SafeMemoryMappedViewHandle.ReleasePointer();
        view.Dispose();
        map.Dispose();
    }

    Dictionary<string, HfTensor> Read(byte* start, long bytes)
    {
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(new ReadOnlySpan<byte>(start, 8));
        if (length > (ulong)(bytes - 8)) throw Wrong($"the header claims {length} bytes, the file has {bytes - 8} behind its length; it was cut off or is no safetensors file");
        if (length > MaxHeaderBytes) throw Wrong($"the header claims {length} bytes, at most {MaxHeaderBytes} are accepted");
        var tensors = new Dictionary<string, HfTensor>(StringComparer.Ordinal);
        var regions = new List<(long Begin, long End, string Name)>();
        try
        {
            using var header = JsonDocument.Parse(new ReadOnlySpan<byte>(start + 8, (int)length).ToArray(), new JsonDocumentOptions { MaxDepth = 8 });
            if (header.RootElement.ValueKind != JsonValueKind.Object) throw Wrong("the header is not a JSON object");
            foreach (var entry in header.RootElement.EnumerateObject())
            {
                if (entry.Name == "__metadata__") continue;
                var (tensor, begin, end) = Entry(entry, start + 8 + length, bytes - 8 - (long)length);
                if (!tensors.TryAdd(entry.Name, tensor)) throw Wrong($"tensor '{entry.Name}' appears twice");
                regions.Add((begin, end, entry.Name));
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or KeyNotFoundException) { throw Wrong($"the header cannot be read: {e.Message}"); }
        regions.Sort();
        long at = 0;
        foreach (var (begin, end, name) in regions)
        {
            if (begin != at) throw Wrong($"tensor '{name}' begins at {begin}, expected {at}: tensors {(begin < at ? "overlap" : "leave a gap")}");
            at = end;
        }
        return tensors;
    }

    (HfTensor, long, long) Entry(JsonProperty entry, byte* data, long dataBytes)
    {
        string dtype = entry.Value.GetProperty("dtype").GetString() ?? "";
        var offsets = entry.Value.GetProperty("data_offsets");
        if (offsets.GetArrayLength() != 2) throw Wrong($"tensor '{entry.Name}': data_offsets must be two numbers");
        long begin = offsets[0].GetInt64(), end = offsets[1].GetInt64();
        if (begin < 0 || end < begin || end > dataBytes) throw Wrong($"tensor '{entry.Name}': bytes {begin} to {end} do not lie within the {dataBytes} bytes of data; the file was cut off or altered");
        var shape = new List<int>();
        long elements = 1;
        foreach (var size in entry.Value.GetProperty("shape").EnumerateArray())
        {
            long n = size.GetInt64();
            if (n is < 0 or > int.MaxValue || (n > 0 && elements > long.MaxValue / 8 / n)) throw Wrong($"tensor '{entry.Name}': a size of {n} overflows");
            elements *= n;
            shape.Add((int)n);
        }
        DType? type = dtype switch { "F32" => DType.F32, "BF16" => DType.BF16, "F16" => DType.F16, _ => null };
        // Tensors of other types may be there as long as nobody asks for them.
        int elementBytes = type?.ElementBytes() ?? 0;
        if (type is not null && elements * elementBytes != end - begin)
            throw Wrong($"tensor '{entry.Name}' {dtype} ({string.Join(", ", shape)}): expected {elements * elementBytes} bytes, found {end - begin}");
        return (new HfTensor(path, entry.Name, type ?? DType.I32, [.. shape], (nint)(data + begin)), begin, end);
    }

    TesseraException Wrong(string what) => new($"{path}: {what}");
}
