using System.Runtime.CompilerServices;
using Tessera.Runtime.Files;
using Tessera.Runtime.Models;
using Tessera.Runtime.Tokens;
using Tessera.Scheduling;

namespace Tessera;

/// <summary>
/// A model, loaded on a device and ready to talk. All of it may be called by any number of threads at once: answers run side by side and share steps of the
/// device, and what their prompts have in common is computed once.
/// </summary>
/// <remarks>
/// <code>
/// using var engine = Engine.Load("model.tessera");
/// await foreach (var update in engine.Generate("Hello")) Console.Write(update.Text);
/// </code>
/// Each enumeration is a request of its own. Leaving one early ends its answer; disposing the engine ends all of them with
/// <see cref="ObjectDisposedException"/>.
/// </remarks>
public sealed class Engine : IDisposable
{
    readonly Model model;
    readonly Runner runner;
    readonly Scheduler scheduler;
    readonly Lock gate = new();
    bool disposed;

    /// <param name="model">Goes with the engine.</param>
    internal Engine(Model model, EngineOptions options)
    {
        this.model = model;
        try
        {
            runner = model.OpenRunner();
            scheduler = new Scheduler(runner, new SchedulerOptions { MaxQueued = options.MaxQueued, StepMilliseconds = options.StepMilliseconds });
            scheduler.Start();
        }
        catch
        {
            runner?.Dispose();
            model.Dispose();
            throw;
        }
    }

    /// <summary>Maps a tiled file and puts its model on a device.</summary>
    /// <exception cref="TesseraException">The file is broken, the device unusable, or model and context do not fit: one line that says so.</exception>
    /// <exception cref="OperationCanceledException">Stopped; nothing stays behind.</exception>
    public static Engine Load(string path, EngineOptions? options = null, CancellationToken stop = default)
    {
        options ??= new EngineOptions();
        if (options.MaxQueued < 1) throw new TesseraException($"requests that wait {options.MaxQueued}: expected 1 or more");
        if (!(options.StepMilliseconds > 0)) throw new TesseraException($"milliseconds of a step {options.StepMilliseconds}: expected more than 0");
        return new Engine(Model.Load(path, options, stop), options);
    }

    /// <summary>The model's name, sizes and defaults.</summary>
    public TiledIndex Info => model.Info;

    /// <summary>Where it runs, as it was named: vulkan:0.</summary>
    public string DeviceName => model.Device.Name;

    /// <summary>Which that is.</summary>
    public string DeviceDescription => model.Device.Description;

    public Numerics Numerics => model.Numerics;

    /// <summary>Null where the file holds no tokenizer.</summary>
    public Tokenizer? Tokenizer => model.Tokenizer;

    /// <summary>Null where the file holds no chat template.</summary>
    public ChatTemplate? Template => model.Template;

    /// <summary>Whether the file holds what turns messages into tokens and back.</summary>
    public bool CanChat => Tokenizer is not null && Template is not null;

    /// <summary>Tokens of prompt and answer together.</summary>
    public int Context => scheduler.Context;

    /// <summary>The type of the matrices.</summary>
    public DType WeightType => model.WeightType;

    /// <summary>Bytes of weights that every decode step reads.</summary>
    public long StepBytes => model.StepBytes;

    internal Model Model => model;

    internal Scheduler Scheduler => scheduler;

    /// <summary>Bytes a second that the device reads, measured between two steps; 0: it cannot be said.</summary>
    public double MeasureBandwidth() => scheduler.BetweenSteps(model.Device.MeasureBandwidth);

    /// <summary>Answers one user message.</summary>
    public IAsyncEnumerable<GenerationUpdate> Generate(string prompt, GenerationOptions? options = null, CancellationToken stop = default) =>
        Generate([new ChatMessage("user", prompt)], options, stop);

    /// <summary>
    /// Continues a conversation: updates come as they are generated, and the last of each answer carries its report. Cancelling ends the answers, of which
    /// the reports say so; what was generated so far stays valid.
    /// </summary>
    /// <exception cref="TesseraException">The prompt does not fit, an option is out of its range, or the file has no tokenizer or template. While
    /// enumerating: as many wait as may (<see cref="QueueFullException"/>), or the device failed.</exception>
    /// <exception cref="ObjectDisposedException">The engine is disposed.</exception>
    public IAsyncEnumerable<GenerationUpdate> Generate(IEnumerable<ChatMessage> messages, GenerationOptions? options = null, CancellationToken stop = default)
    {
        options ??= new GenerationOptions();
        if (messages is null || options.Tools is null) throw new TesseraException("messages and tools: expected a value each, found null");
        var (tokenizer, template) = (Tokenizer, Template);
        if (tokenizer is null || template is null)
            throw new TesseraException($"{Info.Name}: holds no tokenizer or no chat template; convert the model with both, or use token ids");
        int[] prompt = tokenizer.Encode(template.Render(messages, new PromptOptions { Tools = options.Tools, Thinking = options.Thinking }, stop));
        var request = RequestOf(prompt, options);
        return Texts(tokenizer, request, options, stop);
    }

    /// <summary>Continues token ids by token ids: as <see cref="Generate(IEnumerable{ChatMessage}, GenerationOptions?, CancellationToken)"/>, without
    /// text.</summary>
    public IAsyncEnumerable<GeneratedToken> GenerateIds(ReadOnlySpan<int> prompt, GenerationOptions? options = null, CancellationToken stop = default)
    {
        options ??= new GenerationOptions();
        return Tokens(RequestOf(prompt.ToArray(), options), stop);
    }

    /// <summary>Texts as vectors, (texts, hidden), each of length 1: the state of the last token behind the final norm, as Qwen3-Embedding pools. They share
    /// steps with each other and with answers. A model whose vectors mean something expects its end token behind a text, which is added.</summary>
    /// <exception cref="TesseraException">A text is empty or longer than the context, the file has no tokenizer, or as many requests wait as may.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The engine is disposed.</exception>
    public Task<EmbeddingResult> EmbedAsync(IReadOnlyList<string> texts, CancellationToken stop = default)
    {
        if (texts is null || texts.Contains(null!)) throw new TesseraException("texts to embed: expected texts, found null");
        var tokenizer = Tokenizer ?? throw new TesseraException($"{Info.Name}: holds no tokenizer; convert the model with one, or embed token ids");
        int[] end = tokenizer.Find("<|endoftext|>") is { } id ? [id] : [];
        return EmbedAsync([.. texts.Select(text => (int[])[.. tokenizer.Encode(text, added: false), .. end])], stop);
    }

    /// <summary>The same of token ids, to which nothing is added.</summary>
    public async Task<EmbeddingResult> EmbedAsync(IReadOnlyList<int[]> prompts, CancellationToken stop = default)
    {
        if (prompts is null || prompts.Contains(null!)) throw new TesseraException("prompts to embed: expected token ids, found null");
        var requests = prompts.Select(Request.ForEmbedding).ToList();
        foreach (var request in requests) scheduler.Check(request);
        var vectors = new float[prompts.Count][];
        // As many at once as share a step, and as many that wait: the queue is everybody's.
        var atOnce = new ParallelOptions { MaxDegreeOfParallelism = 2 * runner.Limits.Sequences, CancellationToken = stop };
        await Parallel.ForAsync(0, prompts.Count, atOnce, async (i, cancelled) => vectors[i] = await Embed(requests[i], cancelled).ConfigureAwait(false))
            .ConfigureAwait(false);
        return new EmbeddingResult(vectors, prompts.Sum(p => p.Length));
    }

    async Task<float[]> Embed(Request request, CancellationToken stop)
    {
        var stream = scheduler.Submit(request);
        using var cancelling = stop.UnsafeRegister(static state => ((RequestStream)state!).Cancel(), stream);
        while (await stream.Events.WaitToReadAsync(CancellationToken.None).ConfigureAwait(false)) while (stream.Events.TryRead(out _)) { }
        stop.ThrowIfCancellationRequested();
        return stream.Embedding!;
    }

    Request RequestOf(int[] prompt, GenerationOptions options)
    {
        var request = Request.Of(prompt, options, Info.Generation, Tokenizer);
        scheduler.Check(request);
        return request;
    }

    async IAsyncEnumerable<GeneratedToken> Tokens(Request request, [EnumeratorCancellation] CancellationToken stop)
    {
        var stream = scheduler.Submit(request);
        using var cancelling = stop.UnsafeRegister(static state => ((RequestStream)state!).Cancel(), stream);
        try
        {
            while (await stream.Events.WaitToReadAsync(CancellationToken.None).ConfigureAwait(false))
                while (stream.Events.TryRead(out var one))
                    yield return new GeneratedToken(one.Id) { Answer = one.Answer, Logprobs = one.Logprobs, Report = stream.ReportOf(one, StepBytes) };
        }
        finally { stream.Cancel(); }                         // who leaves early wants no more
    }

    async IAsyncEnumerable<GenerationUpdate> Texts(Tokenizer tokenizer, Request request, GenerationOptions options,
        [EnumeratorCancellation] CancellationToken stop)
    {
        var answers = new AnswerParser[request.Answers];
        for (int i = 0; i < answers.Length; i++)
            answers[i] = new AnswerParser(tokenizer, request.Prompt, options.StopStrings, parseCalls: options.Tools.Count > 0);
        var updates = new List<AnswerUpdate>();
        await foreach (var token in Tokens(request, stop).ConfigureAwait(false))
        {
            var answer = answers[token.Answer];
            if (token.Report is null) answer.Append(token.Id, updates);
            else answer.End(updates);
            var logprobs = token.Logprobs;
            foreach (var (text, thinking, call) in updates)
            {
                yield return new GenerationUpdate(text, thinking) { Answer = token.Answer, Call = call, Logprobs = logprobs };
                logprobs = null;
            }
            updates.Clear();
            if (logprobs is not null) yield return new GenerationUpdate("", answer.IsThinking) { Answer = token.Answer, Logprobs = logprobs };
            if (token.Report is { } report)
                yield return new GenerationUpdate("", false) { Answer = token.Answer, Report = report with { ThinkingTokens = answer.ThinkingCount } };
        }
    }

    /// <summary>Ends every answer with <see cref="ObjectDisposedException"/>, in the time of a step; a second call waits for the first.</summary>
    /// <exception cref="InvalidOperationException">Called by a mask: the loop that called it would wait for itself.</exception>
    public void Dispose()
    {
        scheduler.Dispose();
        lock (gate)
        {
            if (disposed) return;
            disposed = true;
            runner.Dispose();
            model.Dispose();
        }
    }
}
