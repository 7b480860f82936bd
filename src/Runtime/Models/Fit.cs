using Tessera.Runtime.Files;
using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>What is to run: a model's sizes and types, and the context asked for (0: as much as fits, up to 8192 and the model's own).</summary>
public sealed record FitRequest(string Name, Qwen3Config Config, DType Matrices, long WeightBytes, Numerics Numerics, DType Cache, int Context)
{
    public static FitRequest For(TiledFile file, EngineOptions options)
    {
        var c = file.Index.Config;
        var matrices = SegmentTypes.Panels(file.Find(c.Tied ? "embedding" : "head").Type) ?? DType.F32;
        return new(file.Index.Name, c, matrices, file.Bytes, options.Numerics, options.Cache?.Cache() ?? options.Numerics.Cache(), options.Context);
    }
}

/// <summary>Bytes that a model takes on a device with a context of so many tokens, and what the device has.</summary>
/// <param name="Scratch">Activations, inputs and results of a step.</param>
/// <param name="Reserve">Left free for the driver and for others.</param>
public sealed record FitPlan(int Context, long Weights, long Cache, long Scratch, long Free, long Reserve)
{
    public long Total => Weights + Cache + Scratch;

    public bool Fits => Total <= Free - Reserve;
}

/// <summary>Whether a model and a context fit a device: numbers in, numbers and words out, before anything is allocated.</summary>
public static class Fit
{
    const int DefaultContext = 8192, MinContext = 512;   // less than the second is no chat: without a context asked for, nothing smaller is taken
    const long MaxReserve = 1L << 30;
    const int MaxEdits = 2048;                           // distinct tokens that a penalty can reach

    /// <summary>The plan for the context asked for; without one, for the largest that fits, up to 8192 and the model's own.</summary>
    public static FitPlan Plan(FitRequest request, long free)
    {
        if (request.Context > 0) return At(request, request.Context, free);
        int most = Math.Min(DefaultContext, request.Config.Context);
        int largest = Largest(request, free, most);
        return At(request, largest >= Math.Min(MinContext, most) ? largest : most, free);
    }

    /// <summary>The largest context that fits, at most <paramref name="most"/>; 0: none.</summary>
    public static int Largest(FitRequest request, long free, int most)
    {
        int low = 0, high = most;
        while (low < high)
        {
            int middle = low + (high - low + 1) / 2;
            if (At(request, middle, free).Fits) low = middle;
            else high = middle - 1;
        }
        return low;
    }

    /// <summary>One line on a plan that fits.</summary>
    public static string Describe(FitRequest request, FitPlan plan, string device) => $"{request.Name} fits {device}: {Needs(request, plan)}";

    /// <summary>One line on a plan that does not fit: what it needs, what there is, and what would fit.</summary>
    public static string Refuse(FitRequest request, FitPlan plan, string device)
    {
        string remedies = string.Join(", ", Remedies(request, plan.Free));
        string remedy = remedies.Length > 0 ? $"would fit: {remedies}, or try another device" : "a smaller model would fit, or another device";
        return $"{request.Name} does not fit {device}: {Needs(request, plan)}; {remedy}";
    }

    internal static BatchLimits Limits(int context)
    {
        int blocks = (context + KvBlock.Tokens - 1) / KvBlock.Tokens;
        return new(Math.Min(Engine.PrefillTokens, blocks * KvBlock.Tokens), 1, 1, blocks, MaxEdits);
    }

    static string Needs(FitRequest request, FitPlan plan) =>
        $"weights {Mega(plan.Weights)} + cache {Mega(plan.Cache)} ({plan.Context} tokens, {request.Cache.Name()}) + scratch {Mega(plan.Scratch)} = "
        + $"{Mega(plan.Total)} "
        + $"of {Mega(plan.Free)} free, {Mega(plan.Reserve)} of which stay in reserve";

    /// <summary>What could be changed, one thing at a time, so that it fits.</summary>
    static IEnumerable<string> Remedies(FitRequest request, long free)
    {
        if (Largest(request, free, request.Config.Context) is >= KvBlock.Tokens and int context) yield return $"a context of {context}";
        if (request.Cache != DType.Q8 && Plan(request with { Cache = DType.Q8 }, free).Fits) yield return "a cache in q8 (--kv q8)";
        // Panels of whole tiles: a file's other segments are small beside them.
        var smaller = request with { Matrices = DType.Q8,
            WeightBytes = request.WeightBytes * Tile.Bytes(DType.Q8, 16, 32) / Tile.Bytes(request.Matrices, 16, 32) };
        if (request.Matrices != DType.Q8 && Plan(smaller, free).Fits) yield return "weights converted to q8 (--dtype q8)";
    }

    static FitPlan At(FitRequest request, int context, long free)
    {
        var (limits, c) = (Limits(context), request.Config);
        return new FitPlan(context, request.WeightBytes, CacheBytes(request, limits), Runner.ScratchBytes(c, request.Matrices, request.Numerics, limits), free,
            Math.Min(Math.Max(free, 0) / 10, MaxReserve));
    }

    static long CacheBytes(FitRequest request, BatchLimits limits) =>
        Cache.KvCache.Bytes(request.Cache, request.Config.Layers, request.Config.KvHeads, request.Config.HeadDim, limits.Sequences, limits.BlocksPerSequence);

    static string Mega(long bytes) => $"{(bytes + (1 << 20) - 1) >> 20} MiB";
}
