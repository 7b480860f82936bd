using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Tessera.Runtime.Devices.Ledger;
using Tessera.Runtime.Models;
using Tessera.Scheduling;
using Tessera.Shaders;

namespace Tessera.Bench;

/// <summary>What the scheduler itself takes of a step, the device apart: many sequences that decode on a device that computes nothing.</summary>
static class SchedulerReport
{
    const int Ids = 1024, PromptTokens = 40, WarmSteps = 100, Tokens = 512;

    public static int Run(int rows, int runs, bool json)
    {
        int blocks = (PromptTokens + Tokens + KvBlock.Tokens - 1) / KvBlock.Tokens;
        var config = new Qwen3Config
        {
            Hidden = 32, Layers = 1, Heads = 1, KvHeads = 1, HeadDim = 32, Ffn = 32, Vocabulary = Ids, Eps = 1e-6f, Context = blocks * KvBlock.Tokens,
            Tied = true, AttentionBias = false, Rope = new RopeConfig(1e6, null),
        };
        using var device = new LedgerDevice(Ids);
        using var model = Synthetic.Make(config, DType.Q8, device);
        var figures = new List<(double Median, long Bytes)>();
        for (int run = 0; run < runs; run++) figures.Add(One(device, config, model, rows, blocks));
        double median = figures.Select(f => f.Median).Order().ElementAt(runs / 2);
        long bytes = figures.Min(f => f.Bytes);
        Console.WriteLine(json
            ? JsonSerializer.Serialize(new { rows, step_ms = Math.Round(median, 4), bytes_per_step = bytes, runs })
            : string.Create(CultureInfo.InvariantCulture,
                $"{rows} sequences that decode: plan, fill, read, draw and settle take {median:f3} ms a step, and allocate {bytes} bytes"));
        return 0;
    }

    static (double Median, long Bytes) One(LedgerDevice device, Qwen3Config config, LoadedModel model, int rows, int blocks)
    {
        using var runner = new Runner(device, config, model.Weights, Numerics.Fast, Ids,
            new BatchLimits(Math.Max(512, rows), rows, rows * blocks, rows, blocks, blocks * KvBlock.Tokens, rows));
        using var scheduler = new Scheduler(runner, new SchedulerOptions { MaxQueued = rows });
        var sampling = new SamplingOptions { Temperature = 0.6f, TopK = 20, TopP = 0.95f, MinP = 0, RepetitionPenalty = 1 };
        var streams = Enumerable.Range(0, rows).Select(i => scheduler.Submit(new Request
        {
            Prompt = [.. Enumerable.Range(0, PromptTokens).Select(t => (i * 7 + t * 13) % Ids)], Sampling = sampling with { Seed = i }, MaxTokens = Tokens,
        })).ToArray();
        void Read()
        {
            foreach (var stream in streams) while (stream.Events.TryRead(out _)) { }
        }
        while (scheduler.State.Waiting.Count > 0 || scheduler.State.Running.Count < rows) scheduler.Step();
        for (int i = 0; i < WarmSteps; i++)
        {
            scheduler.Step();
            Read();
        }
        var times = new double[Tokens / 2];
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < times.Length; i++)
        {
            var busy = device.Busy;
            long start = Stopwatch.GetTimestamp();
            scheduler.Step();
            times[i] = (Stopwatch.GetElapsedTime(start) - (device.Busy - busy)).TotalMilliseconds;
            Read();
        }
        long bytes = (GC.GetAllocatedBytesForCurrentThread() - before) / times.Length;
        Array.Sort(times);
        return (times[times.Length / 2], bytes);
    }
}
