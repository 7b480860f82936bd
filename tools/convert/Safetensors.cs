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
        catch (Exception e) when (e is JsonException or InvalidOperationException) { throw Wrong($"the header cannot be read: {e.Message}"); }
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
        if (entry.Name.Any(char.IsControl)) throw Wrong($"tensor '{entry.Name}': its name holds control characters");
        var json = new HfJson(path, entry.Value);
        TesseraException Expected(string what) => Wrong($"tensor '{entry.Name}': expected {what}, found {HfJson.Brief(entry.Value)}");
        if (entry.Value.ValueKind != JsonValueKind.Object) throw Expected("an object");
        string dtype = json.Text("dtype") ?? throw Expected("a dtype");
        if (!entry.Value.TryGetProperty("data_offsets", out var offsets) || Numbers(offsets) is not [long begin, long end]) throw Expected("data_offsets of two whole numbers");
        if (begin < 0 || end < begin || end > dataBytes) throw Wrong($"tensor '{entry.Name}': bytes {begin} to {end} do not lie within the {dataBytes} bytes of data; the file was cut off or altered");
        if (!entry.Value.TryGetProperty("shape", out var sizes) || Numbers(sizes) is not { } shape) throw Expected("a shape of whole numbers");
        long elements = 1;
        foreach (long n in shape)
        {
            if (n is < 0 or > int.MaxValue || (n > 0 && elements > long.MaxValue / 8 / n)) throw Wrong($"tensor '{entry.Name}': a size of {n} overflows");
            elements *= n;
        }
        DType? type = dtype switch { "F32" => DType.F32, "BF16" => DType.BF16, "F16" => DType.F16, _ => null };
        // Tensors of other types may be there as long as nobody asks for them.
        int elementBytes = type?.ElementBytes() ?? 0;
        if (type is not null && elements * elementBytes != end - begin)
            throw Wrong($"tensor '{entry.Name}' {dtype} ({string.Join(", ", shape)}): expected {elements * elementBytes} bytes, found {end - begin}");
        return (new HfTensor(path, entry.Name, type ?? DType.I32, [.. shape.Select(n => (int)n)], (nint)(data + begin)), begin, end);
    }

    /// <summary>An array of whole numbers, or null.</summary>
    static long[]? Numbers(JsonElement list)
    {
        if (list.ValueKind != JsonValueKind.Array) return null;
        var numbers = new long[list.GetArrayLength()];
        int count = 0;
        foreach (var item in list.EnumerateArray())
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out numbers[count++])) return null;
        return numbers;
    }

    TesseraException Wrong(string what) => new($"{path}: {what}");
}
