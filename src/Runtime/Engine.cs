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

    /// <summary>Threads of the host; 0: one per logical processor.</summary>
    public int Threads { get; init; }

    /// <summary>Told, before the weights are touched, which devices were passed over and what fits: lines for people.</summary>
    public Action<string>? OnStatus { get; init; }

    /// <summary>Told while weights are copied to a device: the bytes that are there, and those of the file. Nothing is copied on the host.</summary>
    public Action<long, long>? OnProgress { get; init; }
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

/// <summary>Text as it is generated.</summary>
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

    readonly TiledFile file;
    readonly SemaphoreSlim gate = new(1);
    readonly List<int> cached = [];                      // the ids whose keys and values are in the cache

    Engine(TiledFile file, IDevice device, EngineOptions options, int context, CancellationToken stop)
    {
        this.file = file;
        Device = device;
        Numerics = options.Numerics;
        Limits = Fit.Limits(context);
        Model = LoadedModel.From(file, device, copied => options.OnProgress?.Invoke(copied, file.Bytes), stop);
        stop.ThrowIfCancellationRequested();
        Tokenizer = file.Has("tokenizer") ? Tokenizer.Unpack(file.Span(file.Find("tokenizer"))) : null;
        Template = file.Has("chat_template") ? new ChatTemplate(System.Text.Encoding.UTF8.GetString(file.Span(file.Find("chat_template")))) : null;
        stop.ThrowIfCancellationRequested();
        Runner = new Runner(device, file.Index.Config, Model.Weights, options.Numerics, RealIds, Limits, options.Cache?.Cache());
        Runner.Cache.SetRuns();
    }

    /// <summary>Maps a tiled file and puts its model on a device.</summary>
    /// <exception cref="TesseraException">The file is broken, the device unusable, or model and context do not fit: one line that says so.</exception>
    /// <exception cref="OperationCanceledException">Stopped; nothing stays behind.</exception>
    public static Engine Load(string path, EngineOptions? options = null, CancellationToken stop = default)
    {
        options ??= new EngineOptions();
        var file = TiledFile.Open(path);
        IDevice? device = null;
        try
        {
            var c = file.Index.Config;
            if (options.Context < 0 || options.Context > c.Context)
                throw new TesseraException(
                    $"context {options.Context}: expected 1 to {c.Context} tokens, for which {file.Index.Name} was made, or 0 for what fits");
            if (options.Threads is < 0 or > 4096)
                throw new TesseraException($"threads {options.Threads}: expected 1 to 4096, or 0 for one per logical processor");
            device = Choose(FitRequest.For(file, options), options, out var plan);
            return new Engine(file, device, options, plan.Context, stop);
        }
        catch
        {
            device?.Dispose();
            file.Dispose();
            throw;
        }
    }

    /// <summary>Opens the device that was named, or the first that can hold the model.</summary>
    static IDevice Choose(FitRequest request, EngineOptions options, out FitPlan plan)
    {
        FitPlan? chosen = null;
        // On the host the weights stay in the page cache, which counts as free: they must find room there.
        string? Refuse(IDevice device) =>
            (chosen = Fit.Plan(request, device.FreeBytes, device.MaxAllocationBytes)).Fits ? null : Fit.Refuse(request, chosen, device.Name);
        IDevice device;
        if (options.Device is null) device = DeviceCatalog.OpenFirst(options.Threads, Refuse, line => options.OnStatus?.Invoke(line));
        else
        {
            device = DeviceCatalog.Open(options.Device, options.Threads);
            if (Refuse(device) is { } refusal)
            {
                device.Dispose();
                throw new TesseraException(refusal);
            }
        }
        plan = chosen!;
        options.OnStatus?.Invoke(Fit.Describe(request, plan, $"{device.Name} ({device.Description})"));
        return device;
    }

    /// <summary>The model's name, sizes and defaults.</summary>
    public TiledIndex Info => file.Index;

    public IDevice Device { get; }

    public Numerics Numerics { get; }

    /// <summary>Null where the file holds no tokenizer.</summary>
    public Tokenizer? Tokenizer { get; }

    /// <summary>Null where the file holds no chat template.</summary>
    public ChatTemplate? Template { get; }

    /// <summary>Whether the file holds what turns messages into tokens and back.</summary>
    public bool CanChat => Tokenizer is not null && Template is not null;

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

    /// <summary>
    /// Continues a conversation: updates come as they are generated, off the caller's thread. Cancelling ends the answer; what was generated so far stays
    /// valid.
    /// </summary>
    /// <exception cref="TesseraException">The prompt does not fit, or the file has no tokenizer or template.</exception>
    public IAsyncEnumerable<GenerationUpdate> Generate(IEnumerable<ChatMessage> messages, GenerationOptions? options = null, CancellationToken stop = default)
    {
        options ??= new GenerationOptions();
        if (messages is null || options.Sampling is null || options.Tools is null)
            throw new TesseraException("messages, sampling and tools: expected a value each, found null");
        var (tokenizer, template) = (Tokenizer, Template);
        if (tokenizer is null || template is null)
            throw new TesseraException($"{file.Path}: holds no tokenizer or no chat template; convert the model with both, or use token ids");
        int[] prompt = tokenizer.Encode(template.Render(messages, new PromptOptions { Tools = options.Tools, Thinking = options.Thinking }, stop));
        var sampling = options.Sampling.Over(Info.Generation, options.Thinking ?? true);
        sampling.Check();
        return Stream(tokenizer, prompt, sampling, options.MaxTokens, stop);
    }

    /// <summary>Continues token ids by token ids, without any text.</summary>
    public Generation Start(ReadOnlySpan<int> prompt, SamplingOptions sampling, int maxTokens = 0, CancellationToken stop = default) =>
        new(this, cached, prompt, sampling.Over(Info.Generation, thinking: true), maxTokens, stop);

    async IAsyncEnumerable<GenerationUpdate> Stream(Tokenizer tokenizer, int[] prompt, SamplingOptions sampling, int maxTokens,
        [EnumeratorCancellation] CancellationToken stop)
    {
        await gate.WaitAsync(stop).ConfigureAwait(false);
        try
        {
            var generation = await Task.Run(() => new Generation(this, cached, prompt, sampling, maxTokens, stop), CancellationToken.None)
                .ConfigureAwait(false);
            var answer = new AnswerParser(tokenizer, prompt, stops: [], parseCalls: false);
            var updates = new List<AnswerUpdate>();
            while (!stop.IsCancellationRequested && await Task.Run(generation.Next, CancellationToken.None).ConfigureAwait(false) is { } id)
            {
                answer.Append(id, updates);
                foreach (var (text, inside, _) in updates) yield return new GenerationUpdate(text, inside);
                updates.Clear();
            }
            answer.End(updates);
            foreach (var (text, inside, _) in updates) yield return new GenerationUpdate(text, inside);
            LastReport = generation.Report();
        }
        finally { gate.Release(); }
    }

    /// <summary>Ids the tokenizer knows; without one, all rows of the head.</summary>
    int RealIds => Math.Min(Tokenizer?.Count ?? int.MaxValue, file.Index.Config.Vocabulary);

    public void Dispose()
    {
        gate.Wait(); // for a generation that runs
        Runner.Dispose();
        Model.Dispose();
        Device.Dispose();
        file.Dispose();
        gate.Dispose();
    }
}
