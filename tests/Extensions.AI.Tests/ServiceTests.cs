using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace Tessera.Extensions.AI.Tests;

/// <summary>One registration, and vectors.</summary>
public class ServiceTests(TrainedClient trained) : IClassFixture<TrainedClient>
{
    [Fact]
    public async Task One_call_registers_an_engine_that_goes_with_the_container()
    {
        var services = new ServiceCollection();
        Assert.Same(services, services.AddTessera(ScriptedEngine.ModelPath, new EngineOptions { Device = "host" }));
        IChatClient client;
        using (var provider = services.BuildServiceProvider())
        {
            client = provider.GetRequiredService<IChatClient>();
            Assert.Same(client, provider.GetRequiredService<IChatClient>());
            Assert.Same(provider.GetRequiredService<Engine>(), client.GetService<Engine>());
            Assert.Same(client.GetService<Engine>(), provider.GetRequiredService<IEmbeddingGenerator<string, Embedding<float>>>().GetService<Engine>());
            Assert.Equal(TrainedClient.Answer, (await client.GetResponseAsync(TrainedClient.Question, TrainedClient.Plain())).Text);
        }
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.GetResponseAsync(TrainedClient.Question));
    }

    [Fact]
    public void The_model_is_loaded_by_who_asks_first()
    {
        using var provider = new ServiceCollection().AddTessera("nowhere.tessera").BuildServiceProvider();
        Assert.Contains("nowhere.tessera", Assert.Throws<TesseraException>(provider.GetRequiredService<IChatClient>).Message);
        Assert.Throws<ArgumentNullException>("path", () => new ServiceCollection().AddTessera(null!));
    }

    [Fact]
    public async Task Vectors_have_length_1_and_are_the_engines()
    {
        IEmbeddingGenerator<string, Embedding<float>> generator = new TesseraEmbeddingGenerator(trained.Engine);
        string[] texts = ["quatre mille", "viertausend", "quatre mille"];
        var vectors = await generator.GenerateAsync(texts);
        var direct = await trained.Engine.EmbedAsync(texts);
        Assert.Equal(direct.Vectors, vectors.Select(v => v.Vector.ToArray()));
        Assert.Equal(((long)direct.Tokens, (long)direct.Tokens), (vectors.Usage!.InputTokenCount, vectors.Usage.TotalTokenCount));
        Assert.All(vectors, v => Assert.Equal((1.0, "numbers-dense"), (Math.Round(v.Vector.ToArray().Sum(x => (double)x * x), 5), v.ModelId)));
        Assert.Equal(vectors[0].Vector.ToArray(), vectors[2].Vector.ToArray());
        Assert.NotEqual(vectors[0].Vector.ToArray(), vectors[1].Vector.ToArray());
        Assert.Empty(await generator.GenerateAsync([]));
        var metadata = generator.GetRequiredService<EmbeddingGeneratorMetadata>();
        Assert.Equal(("tessera", "numbers-dense", vectors[0].Dimensions), (metadata.ProviderName, metadata.DefaultModelId, metadata.DefaultModelDimensions));
        Assert.Null(generator.GetService(typeof(Engine), "key"));
        Assert.Same(generator, generator.GetService<TesseraEmbeddingGenerator>());
    }

    [Fact]
    public async Task Fewer_dimensions_are_the_first_ones_at_length_1()
    {
        var generator = new TesseraEmbeddingGenerator(trained.Engine);
        float[] whole = (await generator.GenerateAsync(["cent"]))[0].Vector.ToArray();
        float[] shorter = (await generator.GenerateAsync(["cent"], new() { Dimensions = 8 }))[0].Vector.ToArray();
        double length = Math.Sqrt(whole.Take(8).Sum(x => (double)x * x));
        Assert.Equal(whole.Take(8).Select(x => (float)(x / length)), shorter);
    }

    /// <summary>Each property with what is refused of it; what a new version of the package brings has no line, and fails.</summary>
    static readonly Dictionary<string, EmbeddingGenerationOptions[]> table = new()
    {
        ["Dimensions"] = [new() { Dimensions = 1 << 20 }],
        ["ModelId"] = [new() { ModelId = "ada" }],
        ["AdditionalProperties"] = [new() { AdditionalProperties = new() { ["cache_salt"] = "mine" } }],
        ["RawRepresentationFactory"] = [new() { RawRepresentationFactory = _ => "x" }],
    };

    public static TheoryData<string> Properties => [.. typeof(EmbeddingGenerationOptions).GetProperties().Select(p => p.Name)];

    [Theory, MemberData(nameof(Properties))]
    public async Task What_embeddings_do_not_have_is_refused_by_name(string property)
    {
        var generator = new TesseraEmbeddingGenerator(trained.Engine);
        foreach (var options in table[property])
            Assert.Contains(property, (await Assert.ThrowsAsync<TesseraException>(() => generator.GenerateAsync(["a"], options))).Message);
        var allowed = new EmbeddingGenerationOptions
        {
            Dimensions = 4, ModelId = "numbers-dense", AdditionalProperties = new() { ["theirs"] = 1 }, RawRepresentationFactory = _ => null,
        };
        Assert.Equal(4, (await generator.GenerateAsync(["a"], allowed))[0].Dimensions);
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => generator.GenerateAsync(["a"], null, stop.Token));
    }
}
