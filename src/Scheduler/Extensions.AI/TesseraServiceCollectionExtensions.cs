using Microsoft.Extensions.AI;
using Tessera;
using Tessera.Extensions.AI;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers a model for whoever asks for an engine or for Microsoft.Extensions.AI's interfaces.</summary>
public static class TesseraServiceCollectionExtensions
{
    /// <summary>
    /// One engine, which is loaded by the first that asks for it and goes with the container, and <see cref="IChatClient"/> over it. The last call counts:
    /// for several models in one container, add their engines and clients by key.
    /// </summary>
    /// <param name="path">A tiled file.</param>
    public static IServiceCollection AddTessera(this IServiceCollection services, string path, EngineOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(path);
        services.AddSingleton(_ => Engine.Load(path, options));
        services.AddSingleton<IChatClient>(provider => new TesseraChatClient(provider.GetRequiredService<Engine>()));
        return services;
    }
}
