using Microsoft.Extensions.AI;

#pragma warning disable MEAI001 // properties that are still experimental are refused too

namespace Tessera.Extensions.AI;

/// <summary>Chat options as the engine's own: each property is mapped, or refused by its name.</summary>
static class OptionMapping
{
    /// <summary>Tokens of thinking by effort; the makers of Qwen advise budgets of more than a thousand.</summary>
    public const int LowBudget = 1024, MediumBudget = 4096, HighBudget = 16384;

    /// <param name="options">Null: the model's defaults.</param>
    /// <param name="model">The name of what is loaded.</param>
    /// <exception cref="TesseraException">A property asks for what is not there: names it.</exception>
    public static GenerationOptions Generation(ChatOptions? options, IChatClient client, string model)
    {
        if (options is null) return new GenerationOptions();
        Refuse(options, model);
        var raw = Raw(options, client);
        var (sampling, more) = (raw.Sampling, options.AdditionalProperties);
        var tools = ToolMapping.Of(options, raw);
        var (thinking, budget) = Thinking(options.Reasoning?.Effort);
        return raw with
        {
            Sampling = sampling with
            {
                Temperature = sampling.Temperature ?? options.Temperature,
                TopP = sampling.TopP ?? options.TopP,
                TopK = sampling.TopK ?? options.TopK,
                MinP = sampling.MinP ?? (float?)AdditionalOptions.Number(more, AdditionalOptions.MinP),
                PresencePenalty = sampling.PresencePenalty != 0 ? sampling.PresencePenalty : options.PresencePenalty ?? 0,
                FrequencyPenalty = sampling.FrequencyPenalty != 0 ? sampling.FrequencyPenalty : options.FrequencyPenalty ?? 0,
                RepetitionPenalty = sampling.RepetitionPenalty ?? (float?)AdditionalOptions.Number(more, AdditionalOptions.RepetitionPenalty),
                Seed = sampling.Seed ?? Seed(options.Seed),
            },
            MaxTokens = raw.MaxTokens != 0 ? raw.MaxTokens : options.MaxOutputTokens ?? 0,
            Thinking = tools.Prefix is not null ? false : raw.Thinking ?? thinking,
            ThinkingBudget = raw.ThinkingBudget ?? budget,
            Tools = [.. raw.Tools, .. tools.Definitions],
            StopStrings = [.. raw.StopStrings, .. options.StopSequences ?? [], .. tools.StopStrings],
            Prefix = tools.Prefix ?? raw.Prefix,
            CacheSalt = raw.CacheSalt ?? AdditionalOptions.Text(more, AdditionalOptions.CacheSalt),
            Priority = raw.Priority != 0 ? raw.Priority : AdditionalOptions.Whole(more, AdditionalOptions.Priority) ?? 0,
        };
    }

    static void Refuse(ChatOptions options, string model)
    {
        if (options.ConversationId is not null)
            throw new TesseraException("ConversationId: no conversation is kept, what it has in common with others is cached; send all of its messages");
        if (options.ContinuationToken is not null) throw new TesseraException("ContinuationToken: an answer cannot be taken up again; ask anew");
        if (options.AllowBackgroundResponses is true)
            throw new TesseraException("AllowBackgroundResponses: an answer lives as long as the call that asks for it; leave it null");
        if (options.ResponseFormat is not (null or ChatResponseFormatText))
            throw new TesseraException($"ResponseFormat: expected text or null, found {options.ResponseFormat.GetType().Name}; say the format in a message");
        if (options.ModelId is { } id && id != model) throw new TesseraException($"ModelId: expected {model} or null, found '{id}'");
        if (options.MaxOutputTokens < 1) throw new TesseraException($"MaxOutputTokens: expected 1 or more, or null, found {options.MaxOutputTokens}");
        if (options.Reasoning?.Output is ReasoningOutput.Summary)
            throw new TesseraException("Reasoning.Output: expected None or Full, found Summary; nothing here sums up what was thought");
    }

    static GenerationOptions Raw(ChatOptions options, IChatClient client)
    {
        object? made = options.RawRepresentationFactory?.Invoke(client);
        if (made is null) return new GenerationOptions();
        if (made is not GenerationOptions raw)
            throw new TesseraException($"RawRepresentationFactory: expected {nameof(GenerationOptions)} or null, found {made.GetType().Name}");
        if (raw is { Sampling: null } or { Tools: null } or { StopStrings: null })
            throw new TesseraException("RawRepresentationFactory: expected sampling, tools and stop strings, found null");
        if (raw.Answers != 1) throw new TesseraException($"RawRepresentationFactory: expected 1 answer, found {raw.Answers}; call the engine for more");
        return raw;
    }

    static (bool? Thinking, int? Budget) Thinking(ReasoningEffort? effort) => effort switch
    {
        null => (null, null),
        ReasoningEffort.None => (false, null),
        ReasoningEffort.Low => (true, LowBudget),
        ReasoningEffort.Medium => (true, MediumBudget),
        ReasoningEffort.High => (true, HighBudget),
        ReasoningEffort.ExtraHigh => (true, null),
        _ => throw new TesseraException($"Reasoning.Effort: expected None to ExtraHigh, or null, found {effort}"),
    };

    /// <summary>A seed of 32 bits stays what it is, one of 64 is folded.</summary>
    static int? Seed(long? seed) => seed is not { } whole ? null : whole == (int)whole ? (int)whole : (int)(whole ^ whole >> 32);
}
