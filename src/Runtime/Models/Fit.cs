using Tessera.Runtime.Devices;
using Tessera.Runtime.Files;
using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>Whether a model and a context fit a device, told before anything is allocated.</summary>
public static class Fit
{
    const int DefaultContext = 8192;

    /// <summary>The context to load with: the one asked for, or the largest that fits, up to 8192 and the model's own.</summary>
    /// <exception cref="TesseraException">It does not fit, or is more than the model was made for: says what would.</exception>
    public static int Context(TiledFile file, IDevice device, EngineOptions options, int edits)
    {
        var c = file.Index.Config;
        if (options.Context < 0 || options.Context > c.Context) throw new TesseraException($"context {options.Context}: expected 1 to {c.Context} tokens, for which {file.Index.Name} was made");
        // On the host the weights stay in the page cache, which counts as free: they must find room there.
        long free = device.FreeBytes - file.Bytes;
        int fits = Largest(file, options, edits, free * 9 / 10, c.Context);
        int wanted = options.Context > 0 ? options.Context : Math.Min(DefaultContext, c.Context);
        if (wanted <= fits) return wanted;
        if (options.Context > 0 || fits < KvBlock.Tokens)
            throw new TesseraException($"{file.Index.Name} with a context of {wanted} needs {Need(file, options, wanted, edits) >> 20} MiB beside its {file.Bytes >> 20} MiB, {Math.Max(free, 0) >> 20} MiB are free on {device.Name}; {(fits >= KvBlock.Tokens ? $"a context of {fits} would fit" : "nothing would fit")}");
        return fits;
    }

    internal static BatchLimits Limits(int context, int tokens, int edits) => new(Math.Min(tokens, Blocks(context) * KvBlock.Tokens), 1, 1, Blocks(context), edits);

    static int Largest(TiledFile file, EngineOptions options, int edits, long free, int most)
    {
        int low = 0, high = most;
        while (low < high)
        {
            int middle = (low + high + 1) / 2;
            if (Need(file, options, middle, edits) <= free) low = middle;
            else high = middle - 1;
        }
        return low;
    }

    /// <summary>What is needed and what is free, for people.</summary>
    internal static string Tell(TiledFile file, IDevice device, EngineOptions options, BatchLimits limits)
    {
        int context = limits.BlocksPerSequence * KvBlock.Tokens;
        return $"{file.Index.Name}: {Mega(file.Bytes)} of weights and {Mega(Need(file, options, context, limits.Edits))} for a context of {context} tokens fit the {Mega(device.FreeBytes)} free on {device.Name} ({device.Description})";
    }

    static string Mega(long bytes) => $"{(bytes + (1 << 20) - 1) >> 20} MiB";

    static long Need(TiledFile file, EngineOptions options, int context, int edits) =>
        Runner.Bytes(file.Index.Config, SegmentTypes.Panels(file.Find(file.Index.Config.Tied ? "embedding" : "head").Type) ?? DType.F32, options.Numerics, Limits(context, Engine.PrefillTokens, edits), options.Cache?.Cache());

    static int Blocks(int context) => (context + KvBlock.Tokens - 1) / KvBlock.Tokens;
}
