using System.Text.Json;
using Tessera.Runtime.Sampling;

namespace Tessera;

/// <summary>How an engine is loaded.</summary>
public sealed record EngineOptions : ModelOptions
{
    /// <summary>Requests that may wait; one more is refused with <see cref="QueueFullException"/>.</summary>
    public int MaxQueued { get; init; } = 256;

    /// <summary>Milliseconds that a step may be thought to take while answers are generated: what a prompt that arrives may hold them up.</summary>
    public double StepMilliseconds { get; init; } = 130;
}

/// <summary>
/// The ids that can be drawn next: bit id % 32 of word id / 32, of the whole vocabulary; none: all can. Called before each draw, by one thread for all
/// answers: it must be quick.
/// </summary>
/// <param name="generated">The ids of the answer so far.</param>
public delegate ReadOnlySpan<int> TokenMask(ReadOnlySpan<int> generated);

/// <summary>What is asked of an answer.</summary>
public sealed record GenerationOptions
{
    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>The most tokens to generate; 0: until the context is full.</summary>
    public int MaxTokens { get; init; }

    /// <summary>Thinking on or off, where the model's template knows it; null: its default.</summary>
    public bool? Thinking { get; init; }

    /// <summary>Tokens of thinking, after which the model is made to answer; null: as many as it likes.</summary>
    public int? ThinkingBudget { get; init; }

    /// <summary>Functions the model may call, as JSON objects. With any, calls come whole, see <see cref="GenerationUpdate.Call"/>.</summary>
    public IReadOnlyList<JsonElement> Tools { get; init; } = [];

    /// <summary>Texts that end the answer, of which nothing is shown; looked for behind the thinking only.</summary>
    public IReadOnlyList<string> StopStrings { get; init; } = [];

    /// <summary>Ids that end the answer beside the model's own, and are no part of it.</summary>
    public IReadOnlyList<int> StopIds { get; init; } = [];

    /// <summary>Added to the logits of these ids, at most 1024.</summary>
    public IReadOnlyDictionary<int, float>? Biases { get; init; }

    /// <summary>Which ids can be drawn.</summary>
    public TokenMask? Mask { get; init; }

    /// <summary>What the answer begins with.</summary>
    public string? Prefix { get; init; }

    /// <summary>Logprobs with each token: of itself, and of this many of the best, at most 20. Null: none.</summary>
    public int? TopLogprobs { get; init; }

    /// <summary>Answers to the one prompt, at most 128, each with the next seed.</summary>
    public int Answers { get; init; } = 1;

    /// <summary>Less goes first; one more is worth ten seconds of waiting.</summary>
    public int Priority { get; init; }

    /// <summary>From when on it is not worth going on; null: never.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Only requests of the same salt share what is cached.</summary>
    public string? CacheSalt { get; init; }
}

/// <summary>A token's id and logprob, and the best that could have stood there; see <see cref="Logprobs"/>.</summary>
/// <param name="Logprob">Null where rules hide it: see <see cref="Logprobs.Best"/>.</param>
public sealed record TokenLogprobs(int Id, float? Logprob, IReadOnlyList<TokenLogprob> Best);

/// <summary>Text as it is generated, a tool call, or the end of an answer.</summary>
/// <param name="Text">One or more whole characters; may be empty with a call, logprobs or a report.</param>
/// <param name="Thinking">Part of the thinking, not of the answer.</param>
public readonly record struct GenerationUpdate(string Text, bool Thinking)
{
    /// <summary>Which of the answers.</summary>
    public int Answer { get; init; }

    /// <summary>A whole call; only with tools.</summary>
    public ToolCall? Call { get; init; }

    /// <summary>Of the token that completed this text; where it completed none yet, with an empty one.</summary>
    public TokenLogprobs? Logprobs { get; init; }

    /// <summary>The last of an answer: what became of it. Null until then.</summary>
    public GenerationReport? Report { get; init; }
}

/// <summary>An id as it is generated, or the end of an answer.</summary>
/// <param name="Id">−1 with the report.</param>
public readonly record struct GeneratedToken(int Id)
{
    /// <summary>Which of the answers.</summary>
    public int Answer { get; init; }

    public TokenLogprobs? Logprobs { get; init; }

    /// <summary>The last of an answer: what became of it. Null until then.</summary>
    public GenerationReport? Report { get; init; }
}
