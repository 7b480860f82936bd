using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Tessera.Runtime.Files;

namespace Tessera.Convert;

/// <summary>A model folder as Hugging Face lays it out: config, weights in one file or shards, tokenizer.</summary>
public sealed class HfFolder : IDisposable
{
    const int MaxSmallBytes = 256 << 20;

    readonly List<Safetensors> files = [];
    readonly Dictionary<string, HfTensor> tensors = new(StringComparer.Ordinal);
    readonly HashSet<string> used = new(StringComparer.Ordinal);

    /// <exception cref="TesseraException">The folder or one of its files is not what it should be.</exception>
    public HfFolder(string folder)
    {
        Folder = folder;
        if (!Directory.Exists(folder))
            throw new TesseraException($"{folder}: expected a folder with config.json and *.safetensors, found {(File.Exists(folder) ? "a file" : "nothing")}");
        try
        {
            string index = At("model.safetensors.index.json"), single = At("model.safetensors");
            if (Path.Exists(index)) OpenShards(index);
            else if (Path.Exists(single)) Open(single);
            else throw new TesseraException($"{folder}: expected model.safetensors or model.safetensors.index.json, found neither");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Folder { get; }

    /// <summary>The folder's own name, without control characters: the model's.</summary>
    public string Name => string.Concat(Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(Folder))).Where(c => !char.IsControl(c)));

    /// <summary>Bytes of all weight files.</summary>
    public long Bytes => files.Sum(file => file.Bytes);

    /// <summary>The files that a conversion reads.</summary>
    public IEnumerable<string> Sources => files.Select(file => file.Path).Concat(
        new[] { "config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja" }
            .Select(At).Where(File.Exists));

    /// <summary>Tensors that nobody asked for.</summary>
    public IEnumerable<string> Unused => tensors.Keys.Where(name => !used.Contains(name)).Order(StringComparer.Ordinal);

    public bool Has(string name) => tensors.ContainsKey(name);

    /// <summary>A tensor that must be there with this shape.</summary>
    public HfTensor Tensor(string name, params int[] shape)
    {
        if (!tensors.TryGetValue(name, out var tensor)) throw new TesseraException($"{Folder}: tensor '{name}' ({string.Join(", ", shape)}) is missing");
        if (tensor.Type == DType.I32)
            throw new TesseraException($"{tensor.File}: tensor '{name}': expected type F32, BF16 or F16, found another; convert from an unquantised model");
        if (!tensor.Shape.AsSpan().SequenceEqual(shape))
            throw new TesseraException(
                $"{tensor.File}: tensor '{name}': expected shape ({string.Join(", ", shape)}), found ({string.Join(", ", tensor.Shape)})");
        used.Add(name);
        return tensor;
    }

    public string At(string name) => Path.Combine(Folder, name);

    /// <summary>A text of the folder, or null where it is not there.</summary>
    public string? Text(string name) => Read(name) is not { } bytes ? null : Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : throw NotUnicode(name);

    /// <summary>A JSON file of the folder, or null where it is not there.</summary>
    public JsonDocument? Json(string name)
    {
        if (Read(name) is not { } bytes) return null;
        try
        {
            if (!IsUnicode(bytes)) throw NotUnicode(name);
            return JsonDocument.Parse(bytes, new JsonDocumentOptions { MaxDepth = 64 });
        }
        catch (JsonException e) { throw new TesseraException($"{At(name)}: is not JSON: {e.Message}", e); }
    }

    /// <summary>A small file of the folder, or null where nothing has its name.</summary>
    byte[]? Read(string name)
    {
        string path = At(name);
        if (!Path.Exists(path)) return null;
        using var file = RegularFile.Open(path);
        long length = RandomAccess.GetLength(file);
        if (length > MaxSmallBytes) throw new TesseraException($"{path}: expected at most {MaxSmallBytes >> 20} MiB, found {length >> 20}");
        var bytes = new byte[length];
        try { return RandomAccess.Read(file, bytes, 0) == length ? bytes : throw new TesseraException($"{path}: was cut off while it was read"); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new TesseraException($"{path}: cannot be read: {e.Message}", e); }
    }

    TesseraException NotUnicode(string name) => new($"{At(name)}: holds text that is not Unicode");

    /// <summary>Parsing does not look into strings: a wrong byte, or half of a surrogate pair behind a \u, would be found by whoever reads it.</summary>
    static bool IsUnicode(byte[] json)
    {
        if (!Utf8.IsValid(json)) return false;
        var reader = new Utf8JsonReader(json);
        try
        {
            while (reader.Read())
                if (reader.ValueIsEscaped) reader.GetString();
            return true;
        }
        catch (InvalidOperationException) { return false; }
    }

    public void Dispose()
    {
        foreach (var file in files) file.Dispose();
    }

    void OpenShards(string index)
    {
        using var json = Json(Path.GetFileName(index))!;
        if (json.RootElement.ValueKind != JsonValueKind.Object || !json.RootElement.TryGetProperty("weight_map", out var map)
            || map.ValueKind != JsonValueKind.Object) throw new TesseraException($"{index}: expected an object with weight_map");
        var shards = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var entry in map.EnumerateObject())
        {
            string shard = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString()! : "";
            if (shard.Length == 0 || shard is "." or ".." || shard.AsSpan().IndexOfAny('/', '\\', ':') >= 0)
                throw new TesseraException($"{index}: tensor '{entry.Name}': expected the name of a file in this folder, found '{shard}'");
            shards.Add(shard);
        }
        foreach (string shard in shards)
        {
            string path = At(shard);
            if (!File.Exists(path)) throw new TesseraException($"{path}: the shard is named in {Path.GetFileName(index)} but missing");
            Open(path);
        }
        foreach (var entry in map.EnumerateObject())
            if (!tensors.TryGetValue(entry.Name, out var tensor) || Path.GetFileName(tensor.File) != entry.Value.GetString())
                throw new TesseraException($"{index}: tensor '{entry.Name}' is not in {entry.Value.GetString()}");
    }

    void Open(string path)
    {
        var file = new Safetensors(path);
        files.Add(file);
        foreach (var (name, tensor) in file.Tensors)
            if (!tensors.TryAdd(name, tensor)) throw new TesseraException($"{path}: tensor '{name}' is also in {Path.GetFileName(tensors[name].File)}");
    }
}
