using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;
using AIMessage = Microsoft.Extensions.AI.ChatMessage;

namespace Tessera.Extensions.AI;

/// <summary>
/// An engine as <see cref="IChatClient"/>: thinking comes as <see cref="TextReasoningContent"/>, each call of a function whole, usage last. Any number of
/// threads may call it at once. It does not own the engine: disposing it does nothing.
/// </summary>
/// <remarks>
/// Every property of <see cref="ChatOptions"/> has its effect or is refused by name with a <see cref="TesseraException"/>; README.md beside this file has the
/// table. What <see cref="ChatOptions.RawRepresentationFactory"/> gives as <see cref="GenerationOptions"/> goes before the other properties.
/// </remarks>
public sealed class TesseraChatClient : IChatClient
{
    readonly Engine engine;
    readonly ChatClientMetadata metadata;

    /// <exception cref="TesseraException">The model's file holds no tokenizer or no chat template.</exception>
    public TesseraChatClient(Engine engine)
    {
        ArgumentNullException.ThrowIfNull(engine);
        if (!engine.CanChat) throw new TesseraException($"{engine.Info.Name}: holds no tokenizer or no chat template; convert the model with both");
        (this.engine, metadata) = (engine, new ChatClientMetadata("tessera", defaultModelId: engine.Info.Name));
    }

    /// <exception cref="TesseraException">An option or a message is refused, or the engine refuses or fails: one line.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The engine is disposed.</exception>
    /// <inheritdoc/>
    public Task<ChatResponse> GetResponseAsync(IEnumerable<AIMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    /// <exception cref="TesseraException">An option or a message is refused, or the engine refuses or fails: one line.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The engine is disposed.</exception>
    /// <inheritdoc/>
    public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<AIMessage> messages, ChatOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        return Updates(messages, options, cancellationToken);
    }

    async IAsyncEnumerable<ChatResponseUpdate> Updates(IEnumerable<AIMessage> messages, ChatOptions? options, [EnumeratorCancellation] CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        var generation = OptionMapping.Generation(options, this, engine.Info.Name);
        var turns = MessageMapping.Turns(messages, options?.Instructions);
        bool showsThinking = options?.Reasoning?.Output is not ReasoningOutput.None, calls = false;
        string id = Guid.NewGuid().ToString("N");
        var created = DateTimeOffset.UtcNow;
        ChatResponseUpdate Update(object raw, params IList<AIContent> contents) => new(ChatRole.Assistant, contents)
        {
            ResponseId = id, MessageId = id, ModelId = engine.Info.Name, CreatedAt = created, RawRepresentation = raw,
        };
        await foreach (var one in engine.Generate(turns, generation, stop).ConfigureAwait(false))
        {
            if (one.Report is { } report)
            {
                if (report.End == EndReason.Stopped) throw new OperationCanceledException(stop);
                var last = Update(report);
                last.FinishReason = Reason(report.End, calls);
                yield return last;
                yield return Update(report, new UsageContent(Usage(report)));
                yield break;
            }
            stop.ThrowIfCancellationRequested();
            calls |= one.Call is not null;
            if (one.Thinking && !showsThinking) continue;
            if (Content(one) is { } content) yield return Update(one, content);
            else if (one.Logprobs is not null) yield return Update(one);
        }
    }

    static AIContent? Content(in GenerationUpdate update) => update switch
    {
        { Call: { } call } => new FunctionCallContent($"call_{Guid.NewGuid():N}", call.Name, Arguments(call)),
        { Text: "" } => null,
        { Thinking: true } => new TextReasoningContent(update.Text),
        _ => new TextContent(update.Text),
    };

    /// <summary>Of a name that comes twice the last value counts, as everywhere in JSON.</summary>
    static Dictionary<string, object?> Arguments(ToolCall call)
    {
        var arguments = new Dictionary<string, object?>();
        foreach (var argument in call.Arguments.EnumerateObject()) arguments[argument.Name] = argument.Value;
        return arguments;
    }

    static ChatFinishReason Reason(EndReason end, bool calls) => end switch
    {
        EndReason.MaxTokens or EndReason.ContextFull => ChatFinishReason.Length,
        EndReason.Deadline => new ChatFinishReason("deadline"),
        _ => calls ? ChatFinishReason.ToolCalls : ChatFinishReason.Stop,
    };

    static UsageDetails Usage(GenerationReport report) => new()
    {
        InputTokenCount = report.PromptTokens, OutputTokenCount = report.Tokens, TotalTokenCount = report.PromptTokens + report.Tokens,
        CachedInputTokenCount = report.CachedTokens, ReasoningTokenCount = report.ThinkingTokens,
    };

    /// <summary>The metadata, the engine, or the client itself; null for anything else, and with a key.</summary>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null) return null;
        if (serviceType == typeof(ChatClientMetadata)) return metadata;
        if (serviceType == typeof(Engine)) return engine;
        return serviceType.IsInstanceOfType(this) ? this : null;
    }

    /// <summary>Does nothing: the engine belongs to who loaded it.</summary>
    public void Dispose() { }
}
