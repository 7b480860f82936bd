using Tessera.Runtime.Models;
using Tessera.Runtime.Sampling;
using Tessera.Runtime.Tokens;

namespace Tessera.Scheduling;

/// <summary>Ids that must follow what was generated so far; none: the next is drawn. Called by the loop, at the start and behind each draw.</summary>
delegate ReadOnlySpan<int> ForcedTokens(ReadOnlySpan<int> generated);

/// <summary>What is asked for, in ids. Never changes.</summary>
sealed record Request
{
    public required int[] Prompt { get; init; }

    /// <summary>All set: see <see cref="SamplingOptions"/>.</summary>
    public required SamplingOptions Sampling { get; init; }

    /// <summary>Tokens of an answer at most; 0: until the context is full.</summary>
    public int MaxTokens { get; init; }

    /// <summary>Answers to the one prompt, each with a seed of its own.</summary>
    public int Answers { get; init; } = 1;

    /// <summary>Less goes first; one more is worth an aging period of waiting.</summary>
    public int Priority { get; init; }

    /// <summary>From when on it is not worth going on; null: never.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Only requests of the same salt share what is cached.</summary>
    public string? Salt { get; init; }

    /// <summary>What is wanted is the prompt as a vector, and no token.</summary>
    public bool IsEmbedding { get; init; }

    /// <summary>Ids that end an answer, and are not part of it.</summary>
    public IReadOnlyList<int> EndIds { get; init; } = [];

    /// <summary>Added to the logits of these ids.</summary>
    public IReadOnlyDictionary<int, float>? Biases { get; init; }

    public TokenMask? Mask { get; init; }

    public ForcedTokens? Forced { get; init; }

    /// <summary>What follows an answer's text, one for each; null: nothing depends on it.</summary>
    public Func<AnswerBytes>? Reading { get; init; }

    /// <summary>Ids of thinking, after which <see cref="ThinkingStop"/> follows; null: no limit.</summary>
    public int? ThinkingBudget { get; init; }

    public int[] ThinkingStop { get; init; } = [];

    /// <summary>The best to tell with each token, and its own; null: none.</summary>
    public int? TopLogprobs { get; init; }

    public float BiasOf(int id) => Biases is not null && Biases.TryGetValue(id, out float bias) ? bias : 0;

    /// <summary>Whether its logits follow a set of rules.</summary>
    public bool IsRuled => Penalised || Biases is { Count: > 0 } || Mask is not null;

    public bool Penalised => Sampling.PresencePenalty != 0 || Sampling.FrequencyPenalty != 0 || Sampling.RepetitionPenalty != 1;

    /// <summary>What a caller's options ask of a model.</summary>
    /// <exception cref="TesseraException">An option is null or out of its range, or needs a tokenizer that the model does not have.</exception>
    public static Request Of(int[] prompt, GenerationOptions options, GenerationDefaults defaults, Tokenizer? tokenizer)
    {
        if (options.Sampling is null || options.StopIds is null || options.StopStrings is null)
            throw new TesseraException("sampling, stop ids and stop strings: expected a value each, found null");
        var sampling = options.Sampling.Over(defaults, options.Thinking ?? true);
        if (tokenizer is null && (options.StopStrings.Count > 0 || options.ThinkingBudget is not null || options.Prefix is not null))
            throw new TesseraException("stop strings, thinking budget and prefix: expected a model with a tokenizer; convert it with one");
        Func<AnswerBytes>? reading = options.StopStrings.Count > 0 || options.ThinkingBudget is not null
            ? () => new AnswerBytes(tokenizer!, prompt, options.StopStrings) : null;
        reading?.Invoke();                                   // what is wrong with stop strings is told here
        int[] prefix = options.Prefix is { } text ? tokenizer!.Encode(text, added: true) : [];
        return new Request
        {
            Prompt = prompt, Sampling = sampling with { Seed = sampling.Seed ?? Random.Shared.Next() }, MaxTokens = options.MaxTokens,
            Answers = options.Answers, Priority = options.Priority, Timeout = options.Timeout, Salt = options.CacheSalt,
            EndIds = options.StopIds.Count == 0 ? defaults.EndIds : [.. defaults.EndIds, .. options.StopIds],
            Biases = options.Biases, Mask = options.Mask, TopLogprobs = options.TopLogprobs,
            Forced = prefix.Length > 0 ? generated => generated.Length == 0 ? prefix : [] : null,
            Reading = reading,
            ThinkingBudget = options.ThinkingBudget,
            ThinkingStop = options.ThinkingBudget is null ? [] : Thinking.StopIds(tokenizer!),
        };
    }

    /// <summary>Asks for a text as a vector. It may be as long as the context: nothing comes behind it.</summary>
    public static Request ForEmbedding(int[] prompt) => new() { Prompt = prompt, Sampling = undrawn, MaxTokens = 1, IsEmbedding = true };

    static readonly SamplingOptions undrawn = new() { Temperature = 0, TopK = 0, TopP = 1, MinP = 0, RepetitionPenalty = 1, Seed = 0 };

    /// <exception cref="TesseraException">It cannot be answered: says why.</exception>
    public void Check(int vocabulary, int context)
    {
        const int MaxAnswers = 128, MaxTop = 20;
        Sampling.Check();
        Admission.Check(Prompt, vocabulary, context, IsEmbedding);
        if (Answers is < 1 or > MaxAnswers) throw new TesseraException($"answers {Answers}: expected 1 to {MaxAnswers}");
        if (MaxTokens < 0) throw new TesseraException($"tokens of an answer {MaxTokens}: expected 1 or more, or 0 for what the context holds");
        if (ThinkingBudget < 0) throw new TesseraException($"thinking budget {ThinkingBudget}: expected 0 or more tokens");
        if (TopLogprobs is < 0 or > MaxTop) throw new TesseraException($"logprobs of the best {TopLogprobs}: expected 0 to {MaxTop}");
        if (Timeout is { Ticks: <= 0 }) throw new TesseraException($"timeout {Timeout}: expected more than no time");
        if (Biases is null) return;
        if (Biases.Count > LogitRules.MaxBiases) throw new TesseraException($"biases: expected at most {LogitRules.MaxBiases}, found {Biases.Count}");
        foreach (var (id, bias) in Biases)
            if ((uint)id >= (uint)vocabulary || float.IsNaN(bias))
                throw new TesseraException($"bias {bias} of token {id}: expected a number, and a token of 0 to {vocabulary - 1}");
    }
}

/// <summary>A token of an answer, or its end.</summary>
/// <param name="Answer">Which of the request's answers.</param>
/// <param name="Id">−1: no token, the answer is at its end.</param>
/// <param name="End">Why, where it is.</param>
/// <param name="Logprobs">Where they were asked for, and the token was drawn.</param>
readonly record struct TokenEvent(int Answer, int Id, EndReason? End = null, TokenLogprobs? Logprobs = null);
