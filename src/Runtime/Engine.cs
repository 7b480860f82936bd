using System.Runtime.CompilerServices;
using Tessera.Runtime.Devices;
using Tessera.Runtime.Files;
using Tessera.Runtime.Models;
using Tessera.Runtime.Tokens;
using Tessera.Shaders;

namespace Tessera;

/// <summary>How a model is loaded.</summary>
public sealed record EngineOptions
{
    /// <summary>host, vulkan:0, cuda:0, opencl:0, reference; null: the best device that can run the model.</summary>
    public string? Device { get; init; }

    public Numerics Numerics { get; init; } = Numerics.Fast;

    /// <summary>Type of keys and values in the cache; null: F32 in exact, else F16.</summary>
    public CacheType? Cache { get; init; }

    /// <summary>Tokens of prompt and answer together; 0: what the model was made for, up to 8192 and to what fits.</summary>
    public int Context { get; init; }

    /// <summary>Threads of the host; 0: one per logical processor.</summary>
    public int Threads { get; init; }

    /// <summary>Told, before the weights are touched, what fits: a line for people.</summary>
    public Action<string>? OnStatus { get; init; }
}

/// <summary>What a generation asks for.</summary>
public sealed record GenerationOptions
{
    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>The most tokens to generate; 0: until the context is full.</summary>
    public int MaxTokens { get; init; }

    /// <summary>Thinking on or off, where the model's template knows it; null: its default.</summary>
    public bool? Thinking { get; init; }

    /// <summary>Functions the model may call, as JSON objects.</summary>
    public IReadOnlyList<System.Text.Json.JsonElement> Tools { get; init; } = [];
}

/// <summary>A piece of text as it is generated.</summary>
/// <param name="Text">One or more whole characters.</param>
/// <param name="Thinking">Part of the thinking, not of the answer.</param>
public readonly record struct GenerationUpdate(string Text, bool Thinking);

/// <summary>A model, loaded on a device and ready to talk. One generation runs at a time; a second waits for the first.</summary>
/// <remarks>
/// <code>
/// using var engine = Engine.Load("model.tessera");
/// await foreach (var update in engine.Generate("Hello")) Console.Write(update.Text);
/// </code>
/// The keys and values of a conversation are kept: what a prompt shares with the one before is not computed again.
/// </remarks>
public sealed class Engine : IDisposable
{
    internal const int PrefillTokens = 512;

    const int MaxEdits = 2048;                          // distinct tokens that a penalty can reach

    readonly TiledFile file;
    readonly SemaphoreSlim turn = new(1);
    readonly List<int> cached = [];                      // the ids whose keys and values are in the cache

    Engine(TiledFile file, IDevice device, EngineOptions options)
    {
        this.file = file;
        Device = device;
        Numerics = options.Numerics;
        int context = Fit.Context(file, device, options, MaxEdits);
        Limits = Fit.Limits(context, PrefillTokens, MaxEdits);
        options.OnStatus?.Invoke(Fit.Tell(file, device, options, Limits));
        Model = LoadedModel.From(file, device);
        Tokenizer = file.Has("tokenizer") ? Tokenizer.Unpack(file.Span(file.Find("tokenizer"))) : null;
        Template = file.Has("chat_template") ? new ChatTemplate(System.Text.Encoding.UTF8.GetString(file.Span(file.Find("chat_template")))) : null;
        Runner = new Runner(device, file.Index.Config, Model.Weights, options.Numerics, RealIds, Limits, options.Cache?.Cache());
    }

    /// <summary>Maps a tiled file and puts its model on a device.</summary>
    /// <exception cref="TesseraException">The file is broken, the device unusable, or model and context do not fit: one line that says so.</exception>
    public static Engine Load(string path, EngineOptions? options = null)
    {
        options ??= new EngineOptions();
        var file = TiledFile.Open(path);
        IDevice? device = null;
        try
        {
            device = DeviceCatalog.Open(options.Device, options.Threads);
            return new Engine(file, device, options);
        }
        catch
        {
            device?.Dispose();
            file.Dispose();
            throw;
        }
    }

    /// <summary>The model's name, sizes and defaults.</summary>
    public TiledIndex Info => file.Index;

    public IDevice Device { get; }

    public Numerics Numerics { get; }

    /// <summary>Null where the file holds no tokenizer.</summary>
    public Tokenizer? Tokenizer { get; }

    /// <summary>Null where the file holds no chat template.</summary>
    public ChatTemplate? Template { get; }

    /// <summary>Tokens of prompt and answer together.</summary>
    public int Context => Limits.BlocksPerSequence * KvBlock.Tokens;

    /// <summary>The type of the matrices.</summary>
    public DType WeightType => Model.Weights.Type;

    /// <summary>Bytes of weights that every decode step reads.</summary>
    public long StepBytes => Model.Weights.StepBytes;

    /// <summary>What the last generation did.</summary>
    public GenerationReport? LastReport { get; private set; }

    internal LoadedModel Model { get; }

    internal Runner Runner { get; }

    internal BatchLimits Limits { get; }

    /// <summary>All logits behind the last token that was computed, (ids that can be drawn), after penalties.</summary>
    public float[] LastLogits()
    {
        var logits = new float[Runner.RealIds];
        Runner.ReadLogits(0, logits);
        return logits;
    }

    /// <summary>Answers one user message.</summary>
    public IAsyncEnumerable<GenerationUpdate> Generate(string prompt, GenerationOptions? options = null, CancellationToken stop = default) =>
        Generate([new ChatMessage("user", prompt)], options, stop);

    /// <summary>Continues a conversation: pieces come as they are generated, off the caller's thread. Cancelling ends the answer; what was generated so far stays valid.</summary>
    /// <exception cref="TesseraException">The prompt does not fit, or the file has no tokenizer or template.</exception>
    public IAsyncEnumerable<GenerationUpdate> Generate(IEnumerable<ChatMessage> messages, GenerationOptions? options = null, CancellationToken stop = default)
    {
        options ??= new GenerationOptions();
        var (tokenizer, template) = (Tokenizer, Template);
        if (tokenizer is null || template is null) throw new TesseraException($"{file.Path}: holds no tokenizer or no chat template; convert the model with both, or use token ids");
        int[] prompt = tokenizer.Encode(template.Render(messages, new PromptOptions { Tools = options.Tools, Thinking = options.Thinking }, stop));
        var sampling = options.Sampling.Over(Info.Generation, options.Thinking ?? true);
        sampling.Check();
        return Stream(tokenizer, prompt, sampling, options.MaxTokens, stop);
    }

    /// <summary>Continues token ids by token ids, without any text.</summary>
    public Generation Start(ReadOnlySpan<int> prompt, SamplingOptions sampling, int maxTokens = 0, CancellationToken stop = default) =>
        new(this, cached, prompt, sampling.Over(Info.Generation, thinking: true), maxTokens, stop);

    async IAsyncEnumerable<GenerationUpdate> Stream(Tokenizer tokenizer, int[] prompt, SamplingOptions sampling, int maxTokens, [EnumeratorCancellation] CancellationToken stop)
    {
        await turn.WaitAsync(stop).ConfigureAwait(false);
        try
        {
            var generation = await Task.Run(() => new Generation(this, cached, prompt, sampling, maxTokens, stop), CancellationToken.None).ConfigureAwait(false);
            var thinking = new Thinking(tokenizer, prompt);
            var text = new TextStream(tokenizer);
            while (!stop.IsCancellationRequested && await Task.Run(generation.Next, CancellationToken.None).ConfigureAwait(false) is { } id)
            {
                bool inside = thinking.Inside;
                string piece = thinking.Marks(id) ? text.Flush() : thinking.Trim(text.Append(id));
                if (piece.Length > 0) yield return new GenerationUpdate(piece, inside);
            }
            if (text.Flush() is { Length: > 0 } rest) yield return new GenerationUpdate(rest, thinking.Inside);
            LastReport = generation.Report();
        }
        finally { turn.Release(); }
    }

    /// <summary>Ids the tokenizer knows; without one, all rows of the head.</summary>
    int RealIds => Math.Min(Tokenizer?.Count ?? int.MaxValue, file.Index.Config.Vocabulary);

    public void Dispose()
    {
        turn.Wait(); // a generation that runs holds the turn
        Runner.Dispose();
        Model.Dispose();
        Device.Dispose();
        file.Dispose();
        turn.Dispose();
    }
}
