using System.Runtime.InteropServices;
using Tessera.Runtime.Cache;
using Tessera.Runtime.Devices;
using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>A model on one device, ready to step: buffers, cache, and one recording for each bucket of tokens and wanted rows.</summary>
public sealed class Runner : IDisposable
{
    readonly IDevice device;
    readonly Qwen3Config config;
    readonly Qwen3Weights weights;
    readonly Numerics numerics;
    readonly Rope rope;
    readonly float[] angles;                                 // (T, d)
    readonly DeviceMemory activations, shared;
    readonly Dictionary<(int, int), Step> steps = [];
    Step? last;

    /// <param name="cache">Type of keys and values; null: what the numerics say.</param>
    public Runner(IDevice device, Qwen3Config config, Qwen3Weights weights, Numerics numerics, int realIds, BatchLimits limits, DType? cache = null)
    {
        (this.device, this.config, this.weights, this.numerics, RealIds, Limits) = (device, config, weights, numerics, realIds, limits);
        rope = new Rope(config.Rope, config.HeadDim, config.Context);
        angles = new float[limits.Tokens * config.HeadDim];
        Cache = new KvCache(device, cache ?? numerics.Cache(), config.Layers, config.KvHeads, config.HeadDim, limits.Sequences, limits.BlocksPerSequence);
        activations = device.Allocate(Activations.Bytes(config, weights.Type, numerics, limits.Tokens, limits.Wanted));
        shared = device.Allocate(SharedBytes(config, limits), shared: true);
        Batch = new Batch(limits);
    }

    public BatchLimits Limits { get; }

    public KvCache Cache { get; }

    /// <summary>Ids below this can be drawn; the rows of the head behind the tokenizer's last id cannot.</summary>
    public int RealIds { get; }

    /// <summary>The rows of the next step; filled by the caller.</summary>
    public Batch Batch { get; }

    /// <summary>What a runner of these limits allocates on its device, weights apart.</summary>
    public static long Bytes(Qwen3Config c, DType matrices, Numerics numerics, BatchLimits limits, DType? cache = null) =>
        KvCache.BytesPerToken(cache ?? numerics.Cache(), c.Layers, c.KvHeads, c.HeadDim) * limits.Sequences * limits.BlocksPerSequence * KvBlock.Tokens
        + Activations.Bytes(c, matrices, numerics, limits.Tokens, limits.Wanted) + SharedBytes(c, limits);

    /// <summary>Computes the batch. Returns when it is submitted; reading the results waits.</summary>
    public void Run()
    {
        var b = Batch;
        for (int i = 0; i < b.Count; i++)
        {
            b.Slots[i] = Cache.Slot(b.Sequences[i], b.Positions[i]);
            rope.Write(b.Positions[i], angles.AsSpan(i * config.HeadDim, config.HeadDim));
        }
        var step = StepFor(b.Count, b.WantedCount);
        var to = step.Inputs;
        StepInputs.Upload<int>(device, to.Tokens, b.Tokens.AsSpan(0, b.Count));
        StepInputs.Upload<int>(device, to.Positions, b.Positions.AsSpan(0, b.Count));
        StepInputs.Upload<int>(device, to.Sequences, b.Sequences.AsSpan(0, b.Count));
        StepInputs.Upload<int>(device, to.Slots, b.Slots.AsSpan(0, b.Count));
        StepInputs.Upload<float>(device, to.Rope, angles.AsSpan(0, b.Count * config.HeadDim));
        StepInputs.Upload(device, to.Blocks, Cache.Table);
        StepInputs.Upload<int>(device, to.Wanted, b.Wanted.AsSpan(0, b.WantedCount));
        if (b.HasEdits) StepInputs.Upload<int>(device, to.Edits, b.Edits.AsSpan(0, b.WantedCount * 3 * Limits.Edits));
        StepInputs.Upload<int>(device, to.EditCounts, b.EditCounts.AsSpan(0, b.WantedCount));
        StepInputs.Upload<int>(device, to.Count, [b.Count]);
        StepInputs.Upload<int>(device, to.WantedCount, [b.WantedCount]);
        device.Submit(step.Recording);
    }

    /// <summary>The candidates of wanted row <paramref name="row"/>: 64 pairs of id and logit bits.</summary>
    public void ReadBest(int row, Span<int> best) => device.Read(Row(Results.Best, row, best.Length * 4), MemoryMarshal.AsBytes(best));

    /// <summary>All logits of a wanted row, (vocabulary), after penalties.</summary>
    public void ReadLogits(int row, Span<float> logits) =>
        device.Read(Results.Logits with { Offset = Results.Logits.Offset + (long)row * Rows.Stride(DType.F32, config.Vocabulary), Bytes = logits.Length * 4L }, MemoryMarshal.AsBytes(logits));

    /// <summary>The residual stream behind the last layer, (hidden), of row <paramref name="row"/> of the step.</summary>
    public void ReadHidden(int row, Span<float> hidden) =>
        device.Read(Results.X with { Offset = Results.X.Offset + (long)row * Rows.Stride(DType.F32, config.Hidden), Bytes = hidden.Length * 4L }, MemoryMarshal.AsBytes(hidden));

    public void Wait() => device.Wait();

    /// <summary>Runs the last step once more, call by call: what each computed and its seconds.</summary>
    public IReadOnlyList<(Call Call, double Seconds)> Profile() => [.. last!.Recording.Calls.Zip(device.Profile(last.Recording))];

    public void Dispose()
    {
        foreach (var step in steps.Values) step.Recording.Dispose();
        Cache.Dispose();
        activations.Dispose();
        shared.Dispose();
    }

    Activations Results => last!.Buffers;

    Step StepFor(int tokens, int wanted)
    {
        var bucket = (Bucket(tokens, Limits.Tokens), Bucket(wanted, Limits.Wanted));
        if (!steps.TryGetValue(bucket, out var step)) steps.Add(bucket, step = Record(bucket.Item1, bucket.Item2));
        last = step;
        return step;
    }

    // A method of its own: its closure must not be made on every step.
    Step Record(int tokens, int wanted)
    {
        var at = new Arena(shared);
        var to = StepInputs.In(at, Limits, config.HeadDim, RealIds, tokens, wanted);
        var buffers = Activations.In(activations, at, config, weights.Type, numerics, tokens, wanted);
        return new Step(to, buffers, device.Record(gpu => Qwen3.Forward(gpu, config, weights, Cache, to, buffers)));
    }

    /// <summary>The next power of two, at most the limit.</summary>
    static int Bucket(int count, int limit) => Math.Min(limit, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(count, 1)));

    static Tensor Row(in Tensor rows, int row, int bytes) => rows with { Offset = rows.Offset + (long)row * bytes, Bytes = bytes };

    /// <summary>Bytes of the inputs and results of a step.</summary>
    static long SharedBytes(Qwen3Config c, BatchLimits limits)
    {
        var sizes = new Arena(null);
        StepInputs.In(sizes, limits, c.HeadDim, c.Vocabulary, limits.Tokens, limits.Wanted);
        Activations.ResultsIn(sizes, limits.Wanted);
        return sizes.Used;
    }

    sealed record Step(StepInputs Inputs, Activations Buffers, Recording Recording);
}
