using System.Runtime.InteropServices;
using Tessera.Runtime.Cache;
using Tessera.Runtime.Devices;
using Tessera.Runtime.Sampling;
using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>A model on one device, ready to step: buffers, cache, and one recording for each bucket of tokens and wanted rows, and what is wanted.</summary>
public sealed class Runner : IDisposable
{
    const int MinCutTokens = 64;                             // a step of fewer is one submission

    readonly IDevice device;
    readonly Qwen3Config config;
    readonly Qwen3Weights weights;
    readonly Numerics numerics;
    readonly Rope rope;
    readonly float[] angles;                                 // (T, d)
    readonly DeviceMemory activations, shared;
    readonly byte[] results;                                 // best, raw and stats of the wanted rows, as they lie on the device
    readonly Dictionary<(int, int, RowResults), Step> steps = [];
    float[]? states;                                         // of the wanted rows, as they lie on the device
    WeightedRow? wholeRow;
    bool candidatesRead, statesRead;                         // of the last step
    bool disposed;
    Step? last;

    /// <param name="cache">Type of keys and values; null: what the numerics say.</param>
    public Runner(IDevice device, Qwen3Config config, Qwen3Weights weights, Numerics numerics, int realIds, BatchLimits limits, DType? cache = null)
    {
        (this.device, this.config, this.weights, this.numerics, RealIds, Limits) = (device, config, weights, numerics, realIds, limits);
        rope = new Rope(config.Rope, config.HeadDim, config.Context, limits.BlocksPerSequence * KvBlock.Tokens);
        angles = new float[limits.Tokens * config.HeadDim];
        Cache = new KvCache(device, cache ?? numerics.Cache(), config.Layers, config.KvHeads, config.HeadDim, limits.Blocks, limits.Sequences,
            limits.BlocksPerSequence);
        activations = device.Allocate(Activations.Bytes(config, weights.Type, numerics, limits));
        shared = device.Allocate(SharedBytes(config, limits), shared: true);
        Rules = new LogitRules(device, config.Vocabulary, limits);
        Batch = new Batch(limits);
        var sizes = new Arena(null);
        Activations.ResultsIn(sizes, limits.Wanted);
        results = new byte[sizes.Used];
    }

    public BatchLimits Limits { get; }

    public KvCache Cache { get; }

    /// <summary>Masks, penalties and biases of the rows that name a set of them; kept from step to step.</summary>
    public LogitRules Rules { get; }

    /// <summary>Ids below this can be drawn; the rows of the head behind the tokenizer's last id cannot.</summary>
    public int RealIds { get; }

    /// <summary>The rows of the next step; filled by the caller.</summary>
    public Batch Batch { get; }

    /// <summary>What a runner of these limits allocates on its device, weights apart.</summary>
    public static long Bytes(Qwen3Config c, DType matrices, Numerics numerics, BatchLimits limits, DType? cache = null) =>
        KvCache.Bytes(cache ?? numerics.Cache(), c.Layers, c.KvHeads, c.HeadDim, limits.Blocks) + ScratchBytes(c, matrices, numerics, limits);

    /// <summary>The same without the cache: activations, inputs and results of the largest step.</summary>
    public static long ScratchBytes(Qwen3Config c, DType matrices, Numerics numerics, BatchLimits limits) =>
        Activations.Bytes(c, matrices, numerics, limits) + SharedBytes(c, limits) + LogitRules.Bytes(c.Vocabulary, limits);

    /// <summary>Computes the batch. Returns when it is submitted; reading the results waits.</summary>
    /// <param name="isStopped">Called between the parts of a long step.</param>
    /// <returns>False where <paramref name="isStopped"/> ended a long step half-way: its results are none, and the cache behind its first position is to be
    /// written again.</returns>
    public bool Run(Func<bool>? isStopped = null)
    {
        var b = Batch;
        for (int i = 0; i < b.Count; i++)
        {
            b.Slots[i] = Cache.Slot(b.Sequences[i], b.Positions[i]);
            rope.Angles(b.Positions[i]).CopyTo(angles.AsSpan(i * config.HeadDim));
        }
        var step = StepFor(b);
        var to = step.Inputs;
        StepInputs.Upload<int>(device, to.Tokens, b.Tokens.AsSpan(0, b.Count));
        StepInputs.Upload<int>(device, to.Positions, b.Positions.AsSpan(0, b.Count));
        StepInputs.Upload<int>(device, to.Sequences, b.Sequences.AsSpan(0, b.Count));
        StepInputs.Upload<int>(device, to.Slots, b.Slots.AsSpan(0, b.Count));
        StepInputs.Upload<float>(device, to.Rope, angles.AsSpan(0, b.Count * config.HeadDim));
        Cache.Upload(device, to.Blocks);
        StepInputs.Upload<int>(device, to.Wanted, b.Wanted.AsSpan(0, b.WantedCount));
        Rules.Upload(b.RuleSets.AsSpan(0, b.WantedCount), b.Rules);
        StepInputs.Upload<int>(device, to.Rules, b.Rules.AsSpan(0, CandidatesOp.RulesOfRow * b.WantedCount));
        StepInputs.Upload<int>(device, to.Count, [b.Count]);
        StepInputs.Upload<int>(device, to.WantedCount, [b.WantedCount]);
        candidatesRead = statesRead = false;
        Completion before = default, newest = default;
        for (int i = 0; i < step.Parts.Length; i++)
        {
            if (isStopped is not null) before.Wait(); // two parts in flight keep a device busy, and leave the rest to be stopped
            if (i > 0 && isStopped?.Invoke() is true) return false;
            (before, newest) = (newest, device.Submit(step.Parts[i]));
        }
        return true;
    }

    /// <summary>Where the batch was computed, for an error's text.</summary>
    internal string DeviceName => device.Name;

    /// <summary>Told at the end of its disposal.</summary>
    internal Action? OnDisposed { get; init; }

    /// <summary>Seconds on a slow device after which a step of many tokens is cut, so that it can be stopped.</summary>
    internal double MaxPartSeconds { get; init; } = 0.1;

    void ReadCandidates()
    {
        candidatesRead = true;
        var (first, end) = (Results.Best, Results.Stats);
        device.Read(first with { Bytes = end.Offset + end.Bytes - first.Offset }, results.AsSpan(0, (int)(end.Offset + end.Bytes - first.Offset)));
    }

    /// <summary>The candidates and statistics of a wanted row; valid until the next step. The first call waits for the step and reads those of all
    /// rows.</summary>
    public RowCandidates Candidates(int row)
    {
        if (!candidatesRead) ReadCandidates();
        ReadOnlySpan<byte> Of(Tensor tensor, int bytes) => results.AsSpan((int)(tensor.Offset - Results.Best.Offset) + row * bytes, bytes);
        const int Kept = CandidatesOp.Kept;
        return new(MemoryMarshal.Cast<byte, int>(Of(Results.Best, 8 * Kept)), MemoryMarshal.Cast<byte, float>(Of(Results.Raw, 4 * Kept)),
            MemoryMarshal.Read<LogitStats>(Of(Results.Stats, 4 * MergeCandidatesOp.StatsOfRow)));
    }

    /// <summary>The state of a wanted row behind the final norm, (hidden); valid until the next step. The first call waits for the step and reads those of
    /// all rows.</summary>
    public ReadOnlySpan<float> State(int row)
    {
        int stride = Rows.Stride(DType.F32, config.Hidden) / sizeof(float);
        if (!statesRead)
        {
            states ??= new float[Limits.Wanted * stride];
            int count = Batch.WantedCount * stride;
            device.Read(Results.States with { Bytes = sizeof(float) * (long)count }, MemoryMarshal.AsBytes(states.AsSpan(0, count)));
            statesRead = true;
        }
        return states.AsSpan(row * stride, config.Hidden);
    }

    /// <summary>Where whole rows of logits are drawn from, one after the other.</summary>
    internal WeightedRow WholeRow => wholeRow ??= new WeightedRow(RealIds);

    /// <summary>All logits of a wanted row, (vocabulary), after its rules; −3e38: the id cannot be drawn.</summary>
    public void ReadLogits(int row, Span<float> logits) =>
        device.Read(Results.Logits with { Offset = Results.Logits.Offset + (long)row * Rows.Stride(DType.F32, config.Vocabulary), Bytes = logits.Length * 4L },
            MemoryMarshal.AsBytes(logits));

    /// <summary>One logit of a wanted row, after its rules.</summary>
    internal float ReadLogit(int row, int id)
    {
        float logit = 0;
        device.Read(Results.Logits with { Offset = Results.Logits.Offset + (long)row * Rows.Stride(DType.F32, config.Vocabulary) + 4L * id, Bytes = 4 },
            MemoryMarshal.AsBytes(new Span<float>(ref logit)));
        return logit;
    }

    /// <summary>The residual stream behind the last layer, (hidden), of row <paramref name="row"/> of the step.</summary>
    public void ReadHidden(int row, Span<float> hidden) =>
        device.Read(Results.X with { Offset = Results.X.Offset + (long)row * Rows.Stride(DType.F32, config.Hidden), Bytes = hidden.Length * 4L },
            MemoryMarshal.AsBytes(hidden));

    public void Wait() => device.Wait();

    /// <summary>Runs the last step once more, call by call: what each computed and its seconds.</summary>
    public IReadOnlyList<(Call Call, double Seconds)> Profile() => [.. last!.Parts.SelectMany(part => part.Calls.Zip(device.Profile(part)))];

    public void Dispose()
    {
        if (disposed) return;
        disposed = true;
        foreach (var part in steps.Values.SelectMany(step => step.Parts)) part.Dispose();
        Cache.Dispose();
        Rules.Dispose();
        activations.Dispose();
        shared.Dispose();
        OnDisposed?.Invoke();
    }

    Activations Results => last!.Buffers;

    Step StepFor(Batch b)
    {
        // Where nothing is wanted, the step is the one with logits, of no row.
        var results = b.Results == RowResults.None ? RowResults.Logits : b.Results;
        var bucket = (Bucket(b.Count, Limits.Tokens), Bucket(b.WantedCount, Limits.Wanted), results);
        if (!steps.TryGetValue(bucket, out var step)) steps.Add(bucket, step = Record(bucket.Item1, bucket.Item2, results));
        last = step;
        return step;
    }

    // A method of its own: its closure must not be made on every step.
    Step Record(int tokens, int wanted, RowResults results)
    {
        var at = new Arena(shared);
        var to = StepInputs.In(at, Limits, config.HeadDim, RealIds, tokens, wanted);
        var buffers = Activations.In(activations, at, config, weights.Type, numerics, Limits.BlocksPerSequence, tokens, wanted);
        void Page(IRecorder gpu) => Qwen3.Forward(gpu, config, weights, Cache, Rules, to, buffers, results);
        var whole = new CallList();
        Page(whole);
        return new Step(to, buffers, [.. Cuts(whole.Calls, tokens).Select(calls => device.Record(gpu => Page(new PartRecorder(gpu, calls))))]);
    }

    /// <summary>The calls of each part of a step: one part where few tokens are computed, as in decoding.</summary>
    List<Range> Cuts(Call[] calls, int tokens)
    {
        var cuts = new List<Range>();
        int first = 0;
        double seconds = 0;
        for (int i = 0; i < calls.Length && tokens >= MinCutTokens; i++)
        {
            if (i > first && seconds > MaxPartSeconds)
            {
                cuts.Add(first..i);
                (first, seconds) = (i, 0);
            }
            seconds += calls[i].Flops(Workload.Full) / 1e12;
        }
        cuts.Add(first..calls.Length);
        return cuts;
    }

    /// <summary>The next power of two, at most the limit.</summary>
    static int Bucket(int count, int limit) => Math.Min(limit, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(count, 1)));

    /// <summary>Bytes of the inputs and results of a step.</summary>
    static long SharedBytes(Qwen3Config c, BatchLimits limits)
    {
        var sizes = new Arena(null);
        StepInputs.In(sizes, limits, c.HeadDim, c.Vocabulary, limits.Tokens, limits.Wanted);
        Activations.ResultsIn(sizes, limits.Wanted);
        return sizes.Used;
    }

    sealed record Step(StepInputs Inputs, Activations Buffers, Recording[] Parts);

    /// <summary>Passes on the calls of one part of a page.</summary>
    sealed class PartRecorder(IRecorder to, Range calls) : IRecorder
    {
        int index;

        public void Launch<TArgs>(Kernel kernel, in TArgs args, params ReadOnlySpan<Tensor> tensors) where TArgs : unmanaged
        {
            if (index >= calls.Start.Value && index < calls.End.Value) to.Launch(kernel, args, tensors);
            index++;
        }
    }
}
