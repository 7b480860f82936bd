using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text.Json;
using Tessera.Runtime.Files;
using Tessera.Runtime.Models;
using Tessera.Shaders;

namespace Tessera.Bench;

/// <summary>The door for outside checks: token ids in, the best logits of every position out.</summary>
static class LogitsReport
{
    const int Chunk = 64, Shown = 8;

    public static int Run(string? path, string? deviceName, string tokens, Numerics numerics)
    {
        if (path is null) throw new TesseraException("--model: expected a .tessera file");
        IlgpuDevices.Register();
        using var file = TiledFile.Open(path);
        using var device = DeviceCatalog.Open(deviceName);
        using var loaded = LoadedModel.From(file, device);
        var config = file.Index.Config;
        int[] ids = Ids(tokens, config);
        int blocks = (ids.Length + KvBlock.Tokens - 1) / KvBlock.Tokens;
        using var runner = new Runner(device, config, loaded.Weights, numerics, config.Vocabulary, new BatchLimits(Chunk, Chunk, blocks, 1, blocks, 0));
        runner.Cache.SetRuns();
        var logits = new float[config.Vocabulary];
        var hash = new XxHash32();
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteString("model", file.Index.Name);
            json.WriteString("device", $"{device.Name} ({device.Description})");
            json.WriteString("numerics", numerics.ToString().ToLowerInvariant());
            json.WriteStartArray("positions");
            for (int at = 0; at < ids.Length; at += Chunk)
            {
                int count = Math.Min(Chunk, ids.Length - at);
                runner.Batch.Clear();
                for (int i = 0; i < count; i++) runner.Batch.Add(ids[at + i], 0, at + i, wanted: true);
                runner.Run();
                for (int i = 0; i < count; i++)
                {
                    var best = runner.Candidates(i);
                    json.WriteStartArray();
                    for (int j = 0; j < Math.Min(Shown, best.Count); j++)
                    {
                        json.WriteStartArray();
                        json.WriteNumberValue(best.Id(j));
                        json.WriteNumberValue(best.Logit(j));
                        json.WriteEndArray();
                    }
                    json.WriteEndArray();
                    runner.ReadLogits(i, logits);
                    hash.Append(MemoryMarshal.AsBytes<float>(logits));
                }
            }
            json.WriteEndArray();
            json.WriteString("hash", hash.GetCurrentHashAsUInt32().ToString("x8"));
            json.WriteEndObject();
        }
        Console.WriteLine(System.Text.Encoding.UTF8.GetString(stream.ToArray()));
        return 0;
    }

    static int[] Ids(string tokens, Qwen3Config config)
    {
        var ids = new List<int>();
        foreach (string part in tokens.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            ids.Add(int.TryParse(part, out int id) && id >= 0 && id < config.Vocabulary ? id
                : throw new TesseraException($"--tokens: expected ids from 0 to {config.Vocabulary - 1}, found '{part}'"));
        if (ids.Count == 0 || ids.Count > config.Context) throw new TesseraException($"--tokens: expected 1 to {config.Context} ids, found {ids.Count}");
        return [.. ids];
    }
}
