using System.Diagnostics;
using System.Text.Json;
using Tessera.Runtime.Cache;
using Tessera.Runtime.Devices;
using Tessera.Runtime.Files;
using Tessera.Runtime.Models;
using Tessera.Shaders;
using Tessera.Tools;

namespace Tessera.Bench;

/// <summary>Times a model: prefill of pp tokens, then tg decode steps of one or many sequences, behind a context of some depth.</summary>
static class ModelReport
{
    public sealed record Request(string? Device, string? Model, string? Synthetic, string DType, Numerics Numerics, int Prefill, int Decode, int Streams,
        int Depth, int Runs, int Threads, bool Json, string? Kv);

    const int Chunk = 512, MaxFilled = 8192;

    public static int Run(Request r)
    {
        if (r.Model is null == r.Synthetic is null) throw new TesseraException("expected --model FILE or --synthetic SHAPE");
        IlgpuDevices.Register();
        using var file = r.Model is null ? null : TiledFile.Open(r.Model);
        if (r.Synthetic is not null && !Synthetic.Shapes.ContainsKey(r.Synthetic))
            throw new TesseraException($"--synthetic {r.Synthetic}: expected {string.Join(", ", Synthetic.Shapes.Keys)}");
        var config = file?.Index.Config ?? Synthetic.Shapes[r.Synthetic!];
        string name = file?.Index.Name ?? r.Synthetic!;
        int length = r.Depth + Math.Max(r.Prefill, r.Decode);
        const int Trained = 32768;
        if (r.Synthetic is not null && length > config.Context) // as the makers advise beyond 32K: YaRN
            config = config with { Context = 4 * Trained, Rope = config.Rope with { Yarn = new YarnConfig(4, Trained, 32, 1, null) } };
        if (length > config.Context) throw new TesseraException($"--depth and --pp or --tg: expected at most {config.Context} tokens together, found {length}");
        long start = Stopwatch.GetTimestamp();
        using var device = DeviceCatalog.Open(r.Device, r.Threads);
        int blocks = (length + KvBlock.Tokens - 1) / KvBlock.Tokens; // of a stream
        var limits = new BatchLimits(Math.Max(Chunk, r.Streams), r.Streams, checked(r.Streams * blocks), r.Streams, blocks, 0);
        DType? kv = r.Kv is null ? null : SegmentTypes.Panels(r.Kv);
        DType type = SegmentTypes.Panels(file?.Find(config.Tied ? "embedding" : "head").Type ?? r.DType) ?? DType.F32;
        Fitting(name, file?.Bytes ?? Synthetic.Bytes(config, type), Runner.Bytes(config, type, r.Numerics, limits, kv), r.Streams, length, device);
        using var loaded = file is not null ? LoadedModel.From(file, device) : Synthetic.Make(config, type, device);
        using var runner = new Runner(device, config, loaded.Weights, r.Numerics, config.Vocabulary, limits, kv);
        runner.Cache.SetRuns();
        double loadSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;

        if (r.Depth > MaxFilled) Touch(device, runner.Cache); // computing them would take longer than all else; time does not depend on what the cache holds
        var random = new Random(1);
        Fill(runner, random, 0, 0, Math.Min(16, length)); // records and compiles
        DecodeSteps(runner, random, r.Streams, 0, 4);
        double firstToken = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Warm(runner, random, r);
        var prefill = new double[r.Runs];
        var decode = new double[r.Runs];
        var allocated = new long[r.Runs];
        for (int run = 0; run < r.Runs; run++)
        {
            for (int s = 0; s < r.Streams && r.Depth is > 0 and <= MaxFilled; s++) Fill(runner, random, s, 0, r.Depth);
            prefill[run] = r.Prefill / Timed(() => Fill(runner, random, 0, r.Depth, r.Prefill));
            DecodeSteps(runner, random, r.Streams, r.Depth, 1);
            long before = GC.GetTotalAllocatedBytes(precise: true);
            long began = Stopwatch.GetTimestamp();
            DecodeSteps(runner, random, r.Streams, r.Depth, r.Decode);
            decode[run] = (double)r.Decode * r.Streams / Stopwatch.GetElapsedTime(began).TotalSeconds;
            allocated[run] = GC.GetTotalAllocatedBytes(precise: true) - before;
        }

        double bandwidth = device.MeasureBandwidth(), bytes = Median(decode) / r.Streams * loaded.Weights.StepBytes;
        string share = bandwidth > 0 ? $" ({100 * bytes / bandwidth:F0} % of {bandwidth / 1e9:F1} measured)" : "";
        if (r.Json)
        {
            Console.WriteLine(Json(r, name, loaded.Weights.Type, device, prefill, decode, bytes, bandwidth, allocated.Max(), loadSeconds, firstToken));
            return 0;
        }
        Console.WriteLine($"# {name} {loaded.Weights.Type.Name()} {r.Numerics.ToString().ToLowerInvariant()} on {device.Name} ({device.Description})");
        Console.WriteLine($"load {loadSeconds:F2} s · first token after {firstToken:F2} s · medians of {r.Runs} runs · "
            + $"{r.Streams} stream{(r.Streams == 1 ? "" : "s")} · depth {r.Depth}");
        double flops = 2.0 * Parameters(loaded.Weights);
        Console.WriteLine($"prefill {r.Prefill,5} tok  {Median(prefill),9:F1} tok/s  {Median(prefill) * flops / 1e12:F3} TFLOP/s");
        Console.WriteLine($"decode  {r.Decode,5} tok  {Median(decode),9:F1} tok/s  {1000 * r.Streams / Median(decode):F2} ms/step  "
            + $"{bytes / 1e9:F1} GB/s{share}  {allocated.Max()} bytes allocated");
        DecodeSteps(runner, random, r.Streams, r.Depth, 1);
        int perToken = config.Moe?.Active ?? 0;
        long seen = (long)r.Streams * (r.Depth + 1);
        StageTable.Print("decode step", runner, config.Layers, new Workload(r.Streams, seen, seen, perToken), bandwidth);
        int tokens = Math.Min(r.Prefill, Chunk);
        Fill(runner, random, 0, r.Depth, tokens);
        StageTable.Print("prefill step", runner, config.Layers, Workload.Chunk(tokens, r.Depth, perToken), bandwidth);
        return 0;
    }

    /// <summary>Refuses what the device cannot hold, before anything is made for it.</summary>
    static void Fitting(string name, long weights, long run, int streams, int length, IDevice device)
    {
        long free = device.FreeBytes;
        if (weights + run > free)
            throw new TesseraException($"{name}: {Cli.Size(weights)} of weights and {Cli.Size(run)} for {streams} sequence{(streams == 1 ? "" : "s")} of "
                + $"{length} tokens do not fit the {Cli.Size(free)} free on {device.Name}; use a smaller model or type, --kv q8, fewer --streams, "
                + "less --depth, "
                + "or another --device");
    }

    /// <summary>Makes the cache real memory, with numbers that are fair in every type.</summary>
    static void Touch(IDevice device, KvCache cache)
    {
        var part = new byte[1 << 20];
        Array.Fill(part, (byte)0x3c); // 1.06 as a half, 0.011 as a float, 60 as a byte
        foreach (var plane in cache.Keys.Concat(cache.Values))
            for (long at = 0; at < plane.Bytes; at += part.Length)
            {
                int count = (int)Math.Min(part.Length, plane.Bytes - at);
                device.Write(plane with { Offset = plane.Offset + at, Bytes = count }, part.AsSpan(0, count));
            }
    }

    static void Warm(Runner runner, Random random, Request r)
    {
        // Tiered compilation rewrites hot code in the background; both phases are run until it is done.
        long start = Stopwatch.GetTimestamp();
        do
        {
            Fill(runner, random, 0, 0, Math.Min(r.Prefill, 128));
            DecodeSteps(runner, random, r.Streams, 0, 8);
        }
        while (Stopwatch.GetElapsedTime(start).TotalSeconds < 1.5);
    }

    static void Fill(Runner runner, Random random, int sequence, int from, int count)
    {
        for (int at = 0; at < count; at += Chunk)
        {
            runner.Batch.Clear();
            for (int i = at; i < Math.Min(at + Chunk, count); i++)
                runner.Batch.Add(random.Next(runner.RealIds), sequence, from + i, wanted: i == count - 1);
            runner.Run();
        }
        runner.Wait();
    }

    static void DecodeSteps(Runner runner, Random random, int streams, int from, int count)
    {
        for (int step = 0; step < count; step++)
        {
            runner.Batch.Clear();
            for (int s = 0; s < streams; s++) runner.Batch.Add(random.Next(runner.RealIds), s, from + step, wanted: true);
            runner.Run();
            runner.Candidates(0);
        }
    }

    static double Timed(Action work)
    {
        long start = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    static double Median(double[] values) => values.Order().ElementAt(values.Length / 2);

    /// <summary>Weights that meet every token of a prefill; the head meets the last only.</summary>
    static double Parameters(Qwen3Weights w) => w.Layers.Sum(l => Elements(l.Qkv) + Elements(l.Out) + Elements(l.GateUp) + Elements(l.Down)
        + (l.Experts is { } e ? Elements(e.Router) + e.Config.Active * (Elements(e.GateUp) + Elements(e.Down)) : 0));

    static double Elements(Tensor w) => (double)w.RowCount * w.Cols;

    static string Json(Request r, string name, DType type, IDevice device, double[] prefill, double[] decode, double bytes, double bandwidth, long allocated,
        double load, double first)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteString("model", name);
            json.WriteString("dtype", type.Name());
            json.WriteString("device", $"{device.Name} ({device.Description})");
            json.WriteString("numerics", r.Numerics.ToString().ToLowerInvariant());
            json.WriteNumber("pp", r.Prefill);
            json.WriteNumber("tg", r.Decode);
            json.WriteNumber("streams", r.Streams);
            json.WriteNumber("depth", r.Depth);
            Numbers("prefill_tps", prefill);
            Numbers("decode_tps", decode);
            json.WriteNumber("decode_gbps", Math.Round(bytes / 1e9, 2));
            json.WriteNumber("measured_gbps", Math.Round(bandwidth / 1e9, 2));
            json.WriteNumber("decode_allocated_bytes", allocated);
            json.WriteNumber("load_seconds", Math.Round(load, 3));
            json.WriteNumber("first_token_seconds", Math.Round(first, 3));
            json.WriteEndObject();

            void Numbers(string key, double[] values)
            {
                json.WriteStartArray(key);
                foreach (double value in values) json.WriteNumberValue(Math.Round(value, 2));
                json.WriteEndArray();
            }
        }
        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }
}
