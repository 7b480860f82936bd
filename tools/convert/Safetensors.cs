using System.Buffers.Binary;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Tessera.Runtime.Files;

namespace Tessera.Convert;

/// <summary>A safetensors file: 8 bytes of header length, a JSON header, then the tensors without gaps. Nothing in it is trusted.</summary>
public sealed class Safetensors : IDisposable
{
    const int LengthBytes = 8;
    const long MaxHeaderBytes = 100 << 20;

    readonly SafeFileHandle file;

    /// <exception cref="TesseraException">The file is cut off, or its header does not describe it.</exception>
    public Safetensors(string path)
    {
        Path = path;
        file = RegularFile.Open(path, options: FileOptions.SequentialScan);
        try
        {
            Bytes = RandomAccess.GetLength(file);
            Tensors = ReadHeader();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Path { get; }

    public long Bytes { get; }

    public Dictionary<string, HfTensor> Tensors { get; }

    /// <summary>Fills a buffer with a tensor's bytes.</summary>
    /// <exception cref="TesseraException">The file was cut off since it was opened, or cannot be read.</exception>
    public void Read(HfTensor tensor, long offset, Span<byte> to)
    {
        if (!TryRead(offset, to)) throw Wrong($"was cut off while tensor '{tensor.Name}' was read");
    }

    public void Dispose() => file.Dispose();

    bool TryRead(long offset, Span<byte> to)
    {
        try
        {
            while (to.Length > 0)
            {
                int read = RandomAccess.Read(file, to, offset);
                if (read == 0) return false;
                to = to[read..];
                offset += read;
            }
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new TesseraException($"{Path}: cannot be read: {e.Message}", e); }
    }

    Dictionary<string, HfTensor> ReadHeader()
    {
        Span<byte> first = stackalloc byte[LengthBytes];
        if (!TryRead(0, first)) throw Wrong($"expected at least {LengthBytes} bytes, found {Bytes}");
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(first);
        if (length > (ulong)(Bytes - LengthBytes))
            throw Wrong($"the header claims {length} bytes, the file has {Bytes - LengthBytes} behind its length; it was cut off or is no safetensors file");
        if (length > MaxHeaderBytes) throw Wrong($"the header claims {length} bytes, at most {MaxHeaderBytes} are accepted");
        var text = new byte[length];
        if (!TryRead(LengthBytes, text)) throw Wrong("was cut off while its header was read");
        var tensors = new Dictionary<string, HfTensor>(StringComparer.Ordinal);
        var regions = new List<(long Begin, long End, string Name)>();
        long data = LengthBytes + (long)length;
        try
        {
            using var header = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 8 });
            if (header.RootElement.ValueKind != JsonValueKind.Object) throw Wrong("the header is not a JSON object");
            foreach (var entry in header.RootElement.EnumerateObject())
            {
                if (entry.Name == "__metadata__") continue;
                var (tensor, begin, end) = Entry(entry, data);
                if (!tensors.TryAdd(tensor.Name, tensor)) throw Wrong($"tensor '{tensor.Name}' appears twice");
                regions.Add((begin, end, tensor.Name));
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
        if (at != Bytes - data) throw Wrong(
            $"{Bytes - data - at} bytes lie behind the last tensor, expected none; the file was extended or its header altered");
        return tensors;
    }

    (HfTensor, long, long) Entry(JsonProperty entry, long data)
    {
        string name = entry.Name;
        if (name.Any(char.IsControl)) throw Wrong($"tensor '{name}': its name holds control characters");
        TesseraException Expected(string what) => Wrong($"tensor '{name}': expected {what}, found {HfJson.Brief(entry.Value)}");
        JsonElement Member(string of) => entry.Value.TryGetProperty(of, out var value) ? value : default;
        if (entry.Value.ValueKind != JsonValueKind.Object) throw Expected("an object");
        string dtype = Member("dtype") is { ValueKind: JsonValueKind.String } text ? text.GetString()! : throw Expected("a dtype");
        if (Numbers(Member("data_offsets")) is not [long begin, long end]) throw Expected("data_offsets of two whole numbers");
        if (begin < 0 || end < begin || end > Bytes - data)
            throw Wrong($"tensor '{name}': bytes {begin} to {end} do not lie within the {Bytes - data} bytes of data; the file was cut off or altered");
        if (Numbers(Member("shape")) is not { } shape) throw Expected("a shape of whole numbers");
        long elements = 1;
        foreach (long n in shape)
        {
            if (n is < 0 or > int.MaxValue || (n > 0 && elements > long.MaxValue / 8 / n)) throw Wrong($"tensor '{name}': a size of {n} overflows");
            elements *= n;
        }
        DType? type = dtype switch { "F32" => DType.F32, "BF16" => DType.BF16, "F16" => DType.F16, _ => null };
        // Tensors of other types may be there as long as nobody asks for them.
        if (type is { } known && elements * known.ElementBytes() != end - begin)
            throw Wrong($"tensor '{name}' {dtype} ({string.Join(", ", shape)}): expected {elements * known.ElementBytes()} bytes, found {end - begin}");
        return (new HfTensor(this, name, type ?? DType.I32, [.. shape.Select(n => (int)n)], data + begin), begin, end);
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

    TesseraException Wrong(string what) => new($"{Path}: {what}");
}
