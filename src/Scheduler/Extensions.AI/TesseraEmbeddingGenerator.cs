using Microsoft.Extensions.AI;

namespace Tessera.Extensions.AI;

/// <summary>
/// An engine as <see cref="IEmbeddingGenerator{TInput, TEmbedding}"/>: a vector of length 1 for each text. Any number of threads may call it at once, beside
/// answers too. It does not own the engine: disposing it does nothing.
/// </summary>
public sealed class TesseraEmbeddingGenerator : IEmbeddingGenerator<string, Embedding<float>>
{
    readonly Engine engine;
    readonly EmbeddingGeneratorMetadata metadata;

    /// <exception cref="TesseraException">The model's file holds no tokenizer.</exception>
    public TesseraEmbeddingGenerator(Engine engine)
    {
        ArgumentNullException.ThrowIfNull(engine);
        if (engine.Tokenizer is null) throw new TesseraException($"{engine.Info.Name}: holds no tokenizer; convert the model with one");
        (this.engine, metadata) = (engine, new EmbeddingGeneratorMetadata("tessera", null, engine.Info.Name, engine.Info.Config.Hidden));
    }

    /// <exception cref="TesseraException">An option is refused by its name, a text is empty or too long, or the engine refuses or fails: one line.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The engine is disposed.</exception>
    /// <inheritdoc/>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values, EmbeddingGenerationOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        cancellationToken.ThrowIfCancellationRequested();
        int dimensions = Dimensions(options);
        var (vectors, tokens) = await engine.EmbedAsync([.. values], cancellationToken).ConfigureAwait(false);
        var created = DateTimeOffset.UtcNow;
        return new(vectors.Select(v => new Embedding<float>(Shortened(v, dimensions)) { ModelId = engine.Info.Name, CreatedAt = created }))
        {
            Usage = new() { InputTokenCount = tokens, TotalTokenCount = tokens },
        };
    }

    /// <summary>Checks all options, and gives the dimensions that are asked for.</summary>
    int Dimensions(EmbeddingGenerationOptions? options)
    {
        int hidden = engine.Info.Config.Hidden;
        if (options is null) return hidden;
        if (options.ModelId is { } id && id != engine.Info.Name) throw new TesseraException($"ModelId: expected {engine.Info.Name} or null, found '{id}'");
        if (options.Dimensions < 1 || options.Dimensions > hidden)
            throw new TesseraException($"Dimensions: expected 1 to {hidden}, or null, found {options.Dimensions}");
        if (options.RawRepresentationFactory?.Invoke(this) is { } raw)
            throw new TesseraException($"RawRepresentationFactory: expected null, found {raw.GetType().Name}; embeddings have no other options");
        foreach (string key in AdditionalOptions.Known)
            if (options.AdditionalProperties?.ContainsKey(key) is true)
                throw new TesseraException($"AdditionalProperties: expected no {key}, which embeddings do not have; leave it out");
        return options.Dimensions ?? hidden;
    }

    /// <summary>The first dimensions at length 1: models that are trained for it (Matryoshka) keep their meaning in them.</summary>
    static float[] Shortened(float[] vector, int dimensions)
    {
        if (dimensions == vector.Length) return vector;
        float[] shorter = vector[..dimensions];
        double length = Math.Sqrt(shorter.Sum(x => (double)x * x));
        if (length > 0) for (int i = 0; i < dimensions; i++) shorter[i] = (float)(shorter[i] / length);
        return shorter;
    }

    /// <summary>The metadata, the engine, or the generator itself; null for anything else, and with a key.</summary>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null) return null;
        if (serviceType == typeof(EmbeddingGeneratorMetadata)) return metadata;
        if (serviceType == typeof(Engine)) return engine;
        return serviceType.IsInstanceOfType(this) ? this : null;
    }

    /// <summary>Does nothing: the engine belongs to who loaded it.</summary>
    public void Dispose() { }
}
