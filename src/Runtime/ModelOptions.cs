namespace Tessera;

/// <summary>How a model is loaded.</summary>
public record ModelOptions
{
    /// <summary>
    /// host, vulkan:0, cuda:0, opencl:0, reference: used, or an error. Null: the first that can hold the model, of discrete GPUs, integrated ones and the
    /// host.
    /// </summary>
    public string? Device { get; init; }

    public Numerics Numerics { get; init; } = Numerics.Fast;

    /// <summary>Type of keys and values in the cache; null: F32 in exact, else F16.</summary>
    public CacheType? Cache { get; init; }

    /// <summary>Tokens of prompt and answer together; 0: what the model was made for, up to 8192 and to what fits.</summary>
    public int Context { get; init; }

    /// <summary>Answers that run at once; 0: 32.</summary>
    public int Sequences { get; init; }

    /// <summary>Tokens in the cache, of all answers together; 0: four times the context, or what fits of that. At least the context.</summary>
    public int CacheTokens { get; init; }

    /// <summary>Threads of the host; 0: one per logical processor.</summary>
    public int Threads { get; init; }

    /// <summary>Told, before the weights are touched, which devices were passed over and what fits: lines for people.</summary>
    public Action<string>? OnStatus { get; init; }

    /// <summary>Told while weights are copied to a device: the bytes that are there, and those of the file. Nothing is copied on the host.</summary>
    public Action<long, long>? OnProgress { get; init; }
}
