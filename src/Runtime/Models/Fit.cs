using Tessera.Runtime.Files;
using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>What is to run: a model's sizes and types, and the context asked for (0: as much as fits, up to 8192 and the model's own).</summary>
public sealed record FitRequest(string Name, Qwen3Config Config, DType Matrices, long WeightBytes, Numerics Numerics, DType Cache, int Context)
{
    const int DefaultSequences = 32, MaxSequences = 4096;

    internal FitRequest(string name, Qwen3Config config, DType matrices, long weightBytes, ModelOptions options)
        : this(name, config, matrices, weightBytes, options.Numerics, options.Cache?.Cache() ?? options.Numerics.Cache(), options.Context)
    {
        (Threads, CacheTokens) = (options.Threads, options.CacheTokens);
        Sequences = options.Sequences == 0 ? DefaultSequences : options.Sequences;
    }

    /// <summary>Answers that run at once.</summary>
    public int Sequences { get; init; } = DefaultSequences;

    /// <summary>Tokens in the cache of all; 0: four contexts, or what fits of that.</summary>
    public int CacheTokens { get; init; }

    /// <summary>Of the host.</summary>
    public int Threads { get; init; }

    /// <summary>The largest of the weights that are put on a device in one piece.</summary>
    public Allocation LargestWeights { get; init; }

    /// <exception cref="TesseraException">A number that was asked for is none that there can be.</exception>
    internal void Check()
    {
        if (Context < 0 || Context > Config.Context)
            throw new TesseraException($"context {Context}: expected 1 to {Config.Context} tokens, for which {Name} was made, or 0 for what fits");
        if (Threads is < 0 or > 4096) throw new TesseraException($"threads {Threads}: expected 1 to 4096, or 0 for one per logical processor");
        if (Sequences is < 1 or > MaxSequences) throw new TesseraException($"sequences {Sequences}: expected 1 to {MaxSequences}, or 0 for {DefaultSequences}");
        if (CacheTokens < 0) throw new TesseraException($"cache {CacheTokens}: expected tokens, or 0 for four times the context or what fits of that");
    }

    internal static FitRequest For(TiledFile file, ModelOptions options)
    {
        var c = file.Index.Config;
        var matrices = SegmentTypes.Panels(file.Find(c.Tied ? "embedding" : "head").Type) ?? DType.F32;
        var largest = file.Index.Segments.MaxBy(s => s.Bytes)!;
        return new(file.Index.Name, c, matrices, file.Bytes, options)
        {
            LargestWeights = new Allocation($"'{largest.Name}'", largest.Bytes),
        };
    }
}

/// <summary>Memory that is taken in one piece, and what for.</summary>
public readonly record struct Allocation(string What, long Bytes);

/// <summary>Bytes that a model takes on a device with a context of so many tokens, and what the device has.</summary>
/// <param name="Limits">Of its runner: the cache is shared by all sequences.</param>
/// <param name="Scratch">Activations, inputs and results of a step.</param>
/// <param name="Reserve">Left free for the driver and for others.</param>
/// <param name="Largest">The largest allocation of all.</param>
/// <param name="MaxAllocation">Bytes that the device gives in one allocation at most.</param>
public sealed record FitPlan(int Context, BatchLimits Limits, long Weights, long Cache, long Scratch, long Free, long Reserve, Allocation Largest,
    long MaxAllocation)
{
    /// <summary>Tokens in the cache, of all sequences.</summary>
    public int CacheTokens => Limits.Blocks * KvBlock.Tokens;

    public long Total => Weights + Cache + Scratch;

    public bool HasRoom => Total <= Free - Reserve;

    public bool Fits => HasRoom && Largest.Bytes <= MaxAllocation;
}

/// <summary>Whether a model and a context fit a device: numbers in, numbers and words out, before anything is allocated.</summary>
public static class Fit
{
    const int PrefillTokens = 512, PoolContexts = 4;
    const int DefaultContext = 8192, MinContext = 512;   // less than the second is no chat: without a context asked for, nothing smaller is taken
    const long MaxReserve = 1L << 30;

    /// <summary>The plan for the context asked for; without one, for the largest that fits, up to 8192 and the model's own.</summary>
    /// <param name="request">What is to run.</param>
    /// <param name="free">Bytes that the device has free.</param>
    /// <param name="maxAllocation">Bytes that it gives in one allocation.</param>
    public static FitPlan Plan(FitRequest request, long free, long maxAllocation = long.MaxValue)
    {
        int context = request.Context, most = Math.Min(DefaultContext, request.Config.Context);
        if (context == 0)
        {
            context = Largest(request, free, most, maxAllocation);
            if (context < Math.Min(MinContext, most)) context = most;
        }
        if (request.CacheTokens > 0) return At(request, context, free, maxAllocation, Blocks(Math.Max(context, request.CacheTokens)));
        int blocks = LargestWhere(PoolContexts * Blocks(context), pool => At(request, context, free, maxAllocation, pool).Fits);
        return At(request, context, free, maxAllocation, Math.Max(blocks, Blocks(context)));
    }

    /// <summary>The largest context that fits, at most <paramref name="most"/>, where one sequence has the cache; 0: none.</summary>
    public static int Largest(FitRequest request, long free, int most, long maxAllocation = long.MaxValue) =>
        LargestWhere(most, context => At(request, context, free, maxAllocation, Blocks(context)).Fits);

    /// <summary>The largest of 1 to <paramref name="most"/> that fits, where less always does; 0: none.</summary>
    static int LargestWhere(int most, Func<int, bool> fits)
    {
        int low = 0, high = most;
        while (low < high)
        {
            int middle = low + (high - low + 1) / 2;
            if (fits(middle)) low = middle;
            else high = middle - 1;
        }
        return low;
    }

    /// <summary>One line on a plan that fits.</summary>
    public static string Describe(FitRequest request, FitPlan plan, string device) => $"{request.Name} fits {device}: {Needs(request, plan)}";

    /// <summary>One line on a plan that does not fit: what it needs, what there is, and what would fit.</summary>
    public static string Refuse(FitRequest request, FitPlan plan, string device)
    {
        string remedies = string.Join(", ", Remedies(request, plan.Free, plan.MaxAllocation));
        string remedy = remedies.Length > 0 ? $"would fit: {remedies}, or try another device" : "a smaller model would fit, or another device";
        string problem = plan.HasRoom
            ? $"{plan.Largest.What} needs {Mega(plan.Largest.Bytes)} in one allocation, the device gives at most {plan.MaxAllocation >> 20} MiB"
            : Needs(request, plan);
        return $"{request.Name} does not fit {device}: {problem}; {remedy}";
    }

    static int Blocks(int tokens) => (tokens + KvBlock.Tokens - 1) / KvBlock.Tokens;

    /// <summary>What a runner is made for.</summary>
    /// <param name="pool">Blocks of the cache.</param>
    internal static BatchLimits Limits(int context, int pool, int sequences)
    {
        int blocks = Blocks(context), rows = Math.Min(sequences, pool);
        int wanted = Math.Max(rows, KvBlock.Tokens);                                                 // one alone has drafts
        return new(Math.Max(Math.Min(PrefillTokens, blocks * KvBlock.Tokens), wanted), wanted, pool, rows, blocks,
            Edits: blocks * KvBlock.Tokens + LogitRules.MaxBiases, RuleSets: rows);                  // a penalty for each token
    }

    static string Needs(FitRequest request, FitPlan plan) =>
        $"weights {Mega(plan.Weights)} + cache {Mega(plan.Cache)} ({Tokens(plan)}, {request.Cache.Name()}) + scratch {Mega(plan.Scratch)} = "
        + $"{Mega(plan.Total)} "
        + $"of {Mega(plan.Free)} free, {Mega(plan.Reserve)} of which stay in reserve";

    static string Tokens(FitPlan plan) => plan.CacheTokens <= plan.Context ? $"{plan.Context} tokens" : $"{plan.Context} tokens, {plan.CacheTokens} of all";

    /// <summary>What could be changed, one thing at a time, so that it fits.</summary>
    static IEnumerable<string> Remedies(FitRequest request, long free, long maxAllocation)
    {
        if (Largest(request, free, request.Config.Context, maxAllocation) is >= KvBlock.Tokens and int context) yield return $"a context of {context}";
        if (request.Cache != DType.Q8 && Plan(request with { Cache = DType.Q8 }, free, maxAllocation).Fits) yield return "a cache in q8 (--kv q8)";
        foreach (var type in new[] { DType.Q8, DType.Q4 })
        {
            // As much less as all matrices of the shape; the largest of a mixture is in Q8.
            double share = (double)Synthetic.Bytes(request.Config, type) / Synthetic.Bytes(request.Config, request.Matrices);
            double largest = (double)Tile.Bytes(DType.Q8, 16, 32) / Tile.Bytes(request.Matrices, 16, 32);
            var smaller = request with { Matrices = type, WeightBytes = (long)(request.WeightBytes * share),
                LargestWeights = request.LargestWeights with { Bytes = (long)(request.LargestWeights.Bytes * Math.Min(1, largest)) } };
            if (share >= 1 || !Plan(smaller, free, maxAllocation).Fits) continue;
            yield return $"weights converted to {type.Name()} (--dtype {type.Name()})";
            break;
        }
    }

    static FitPlan At(FitRequest request, int context, long free, long maxAllocation, int pool)
    {
        var (limits, c) = (Limits(context, pool, request.Sequences), request.Config);
        long cache = Cache.KvCache.Bytes(request.Cache, c.Layers, c.KvHeads, c.HeadDim, limits.Blocks);
        long layer = Cache.KvCache.LayerBytes(request.Cache, c.KvHeads, c.HeadDim, limits.Blocks);
        var activations = new Allocation("what a step computes", Activations.Bytes(c, request.Matrices, request.Numerics, limits));
        var keys = new Allocation($"the cache of a layer ({pool * KvBlock.Tokens} tokens, {request.Cache.Name()})", layer);
        var largest = new[] { request.LargestWeights, keys, activations }.MaxBy(a => a.Bytes);
        return new FitPlan(context, limits, request.WeightBytes, cache, Runner.ScratchBytes(c, request.Matrices, request.Numerics, limits), free,
            Math.Min(Math.Max(free, 0) / 10, MaxReserve), largest, maxAllocation);
    }

    static string Mega(long bytes) => $"{(bytes + (1 << 20) - 1) >> 20} MiB";
}
