using Microsoft.Extensions.Time.Testing;
using Tessera.Runtime.Devices.Ledger;
using Tessera.Runtime.Models;
using Tessera.Shaders;

namespace Tessera.Scheduling.Tests;

/// <summary>A scheduler on the ledger device, driven step by step, with a clock that moves by what a step is made to cost.</summary>
sealed class Ledger : IDisposable
{
    public const int Ids = 128;

    static readonly Qwen3Config config = new()
    {
        Hidden = 32, Layers = 1, Heads = 1, KvHeads = 1, HeadDim = 32, Ffn = 32, Vocabulary = Ids, Eps = 1e-6f, Context = 8192, Tied = true,
        AttentionBias = false, Rope = new RopeConfig(1e6, null),
    };

    /// <summary>Made once: no ledger reads them.</summary>
    static readonly LoadedModel model = Synthetic.Make(config, DType.Q8, new LedgerDevice(Ids));

    readonly Runner runner;

    /// <param name="wanted">Rows of logits; 0: one for each sequence, so that where all decode nobody has a draft.</param>
    public Ledger(int blocks = 64, int rows = 4, int blocksPerRow = 64, int tokens = 512, SchedulerOptions? options = null, Script? script = null,
        TimeProvider? clock = null, int wanted = 0)
    {
        Device = new LedgerDevice(Ids, script) { Stepping = (count, context) => Clock.Advance(TimeSpan.FromMilliseconds(Cost(count, context))) };
        runner = new Runner(Device, config, model.Weights, Numerics.Fast, Ids,
            new BatchLimits(tokens, Math.Max(wanted, rows), blocks, rows, blocksPerRow, Edits: blocksPerRow * KvBlock.Tokens, RuleSets: rows));
        Scheduler = new Scheduler(runner, options, clock ?? Clock);
    }

    public FakeTimeProvider Clock { get; } = new();

    public LedgerDevice Device { get; }

    public Scheduler Scheduler { get; private set; }

    /// <summary>Milliseconds of a step.</summary>
    public Func<int, long, double> Cost { get; set; } = (_, _) => 1;

    public BlockPool Pool => Scheduler.State.Pool;

    public static readonly SamplingOptions Greedy = Sampled(0);

    public static SamplingOptions Sampled(float temperature, int seed = 1, int topK = 20, float presence = 0, float repetition = 1) => new()
    {
        Temperature = temperature, TopK = topK, TopP = 0.95f, MinP = 0, Seed = seed, PresencePenalty = presence, RepetitionPenalty = repetition,
    };

    public static Request Continue(int[] prompt, int max = 8) => new() { Prompt = prompt, Sampling = Greedy, MaxTokens = max };

    /// <summary>Ids of which two prompts of different beginnings share no block.</summary>
    public static int[] Prompt(int length, int seed = 0)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(Ids))];
    }

    /// <summary>What a greedy answer must be, by the definition of what the device answers, or by its script.</summary>
    public static int[] Expected(int[] prompt, int count, Script? script = null)
    {
        var all = prompt.ToList();
        for (int i = 0; i < count; i++)
        {
            var history = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(all);
            all.Add(script?.Invoke(history) ?? LedgerDevice.Next(history, Ids));
        }
        return [.. all.Skip(prompt.Length)];
    }

    /// <summary>What an embedding must be, by the same definition.</summary>
    public static float[] ExpectedVector(int[] prompt)
    {
        var state = new float[config.Hidden];
        LedgerDevice.State(prompt, state);
        double length = Math.Sqrt(state.Sum(x => (double)x * x));
        return [.. state.Select(x => (float)(x * (1 / length)))];
    }

    /// <summary>A text that repeats what it had some ids before, and now and then does not; a wrong id anywhere in the history changes where.</summary>
    public static int Repeating(ReadOnlySpan<int> history)
    {
        int next = LedgerDevice.Next(history, 1 << 20);
        return history.Length >= 7 && next % 9 > 0 ? Math.Max(0, history[^7]) : next % Ids;
    }

    public RequestStream Submit(Request request) => Scheduler.Submit(request);

    /// <summary>Another scheduler on the same runner and device: neither forgets what was written.</summary>
    public void Restart(SchedulerOptions options)
    {
        Scheduler.Dispose();
        Scheduler = new Scheduler(runner, options, Clock);
    }

    /// <summary>Steps until nobody is left.</summary>
    public int Drain(int limit = 100_000)
    {
        int steps = 0;
        while (Scheduler.Step()) if (++steps > limit) throw new InvalidOperationException("it does not end");
        return steps;
    }

    /// <summary>What came out so far: ids and ends of each answer.</summary>
    public static (List<int> Ids, List<EndReason> Ends)[] Read(RequestStream stream)
    {
        var answers = stream.Request.Answers;
        var all = Enumerable.Range(0, answers).Select(_ => (Ids: new List<int>(), Ends: new List<EndReason>())).ToArray();
        while (stream.Events.TryRead(out var one))
            if (one.End is { } end) all[one.Answer].Ends.Add(end);
            else all[one.Answer].Ids.Add(one.Id);
        return all;
    }

    public (List<int> Ids, List<EndReason> Ends) Answer(Request request)
    {
        var stream = Submit(request);
        Drain();
        return Read(stream)[0];
    }

    public void Dispose()
    {
        Scheduler.Dispose();
        runner.Dispose();
    }
}
