using Microsoft.Extensions.AI;
using Tessera;
using Tessera.Extensions.AI;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers a model for whoever asks for an engine or for Microsoft.Extensions.AI's interfaces.</summary>
public static class TesseraServiceCollectionExtensions
{
    /// <summary>
    /// One engine, which is loaded by the first that asks for it and goes with the container; over it <see cref="IChatClient"/> and
    /// <see cref="IEmbeddingGenerator{TInput, TEmbedding}"/> of texts. The last call counts: several models in one container are added by key, each with
    /// its engine.
    /// </summary>
    /// <param name="path">A tiled file.</param>
    public static IServiceCollection AddTessera(this IServiceCollection services, string path, EngineOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(path);
        services.AddSingleton(_ => Engine.Load(path, options));
        services.AddSingleton<IChatClient>(provider => new TesseraChatClient(provider.GetRequiredService<Engine>()));
        services.AddSingleton<IEmbeddingGenerator<string, Embedding<float>>>(provider => new TesseraEmbeddingGenerator(provider.GetRequiredService<Engine>()));
        return services;
    }
}
