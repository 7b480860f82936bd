using System.Runtime.InteropServices;
using System.Text.Json;
using Tessera.Convert;
using Tessera.Runtime.Files;
using Tessera.Runtime.Models;
using Tessera.Shaders;

namespace Tessera.Testing;

/// <summary>A golden model: its folder, its goldens, and its tiled file, converted once for each type.</summary>
public sealed class GoldenModel : IDisposable
{
    public static readonly string[] All = ["numbers-dense", "tiny-bias", "tiny-f16", "tiny-yarn", "tiny-tied-d64-v1003", "numbers-moe", "tiny-moe-mixed",
        "tiny-f32"];

    readonly Safetensors golden;

    public GoldenModel(string name, DType? type = null)
    {
        string folder = Repository.Golden($"models/{name}"),
            path = Path.Combine(Path.GetTempPath(), $"tessera-{Environment.ProcessId}-{Guid.NewGuid():N}.tessera");
        golden = new Safetensors(Path.Combine(folder, "golden.safetensors"));
        Json = JsonDocument.Parse(System.IO.File.ReadAllText(Path.Combine(folder, "golden.json"))).RootElement;
        using (var hf = new HfFolder(folder)) new Converter(hf).Write(path, type);
        File = TiledFile.Open(path);
        FilePath = path;
    }

    public TiledFile File { get; }

    public string FilePath { get; }

    public JsonElement Json { get; }

    public IEnumerable<string> Sequences => golden.Tensors.Keys.Where(k => k.EndsWith(".ids", StringComparison.Ordinal)).Select(k => k[..^4]);

    public int[] Ints(string name) => Values<int>(name);

    public float[] Floats(string name) => Values<float>(name);

    T[] Values<T>(string name) where T : unmanaged
    {
        var tensor = golden.Tensors[name];
        var values = new T[tensor.Shape.Aggregate(1, (a, b) => a * b)];
        golden.Read(tensor, tensor.Offset, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    /// <summary>A runner for one sequence on a device; all positions of a chunk can be wanted.</summary>
    public Runner Runner(Tessera.Runtime.Devices.IDevice device, Numerics numerics, out LoadedModel loaded, int layers = int.MaxValue, int tokens = 37)
    {
        loaded = LoadedModel.From(File, device);
        var w = loaded.Weights;
        var first = new Qwen3Weights { Embedding = w.Embedding, Head = w.Head, FinalNorm = w.FinalNorm, Layers = [.. w.Layers.Take(layers)] };
        var config = File.Index.Config;
        const int Blocks = 24;
        var runner = new Runner(device, config with { Layers = Math.Min(layers, config.Layers) }, first, numerics, config.Vocabulary,
            new BatchLimits(tokens, tokens, Blocks, 1, Blocks, 0));
        runner.Cache.SetRuns();
        return runner;
    }

    /// <summary>Feeds a sequence in chunks and shows each chunk: its first position and its tokens.</summary>
    public static void Feed(Runner runner, ReadOnlySpan<int> ids, int chunk, Action<int, int> each)
    {
        for (int at = 0; at < ids.Length; at += chunk)
        {
            int count = Math.Min(chunk, ids.Length - at);
            runner.Batch.Clear();
            for (int i = 0; i < count; i++) runner.Batch.Add(ids[at + i], 0, at + i, wanted: true);
            runner.Run();
            each(at, count);
        }
    }

    public void Dispose()
    {
        File.Dispose();
        golden.Dispose();
        System.IO.File.Delete(FilePath);
    }
}
