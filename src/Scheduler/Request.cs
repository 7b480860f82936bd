namespace Tessera.Scheduling;

/// <summary>
/// The ids that can be drawn next: bit id % 32 of word id / 32, of the whole vocabulary; none: all can. Called by the loop, before each draw.
/// </summary>
delegate ReadOnlySpan<int> TokenMask(ReadOnlySpan<int> generated);

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

    /// <summary>Ids that end an answer, and are not part of it.</summary>
    public IReadOnlyList<int> EndIds { get; init; } = [];

    /// <summary>Added to the logits of these ids.</summary>
    public IReadOnlyDictionary<int, float>? Biases { get; init; }

    public TokenMask? Mask { get; init; }

    public ForcedTokens? Forced { get; init; }

    public float BiasOf(int id) => Biases is not null && Biases.TryGetValue(id, out float bias) ? bias : 0;

    /// <summary>Whether its logits follow a set of rules.</summary>
    public bool IsRuled => Penalised || Biases is { Count: > 0 } || Mask is not null;

    public bool Penalised => Sampling.PresencePenalty != 0 || Sampling.RepetitionPenalty != 1;
}

/// <summary>A token of an answer, or its end.</summary>
/// <param name="Answer">Which of the request's answers.</param>
/// <param name="Id">−1: no token, the answer is at its end.</param>
/// <param name="End">Why, where it is.</param>
readonly record struct TokenEvent(int Answer, int Id, EndReason? End = null);

/// <summary>There is no room for another request to wait: try again later.</summary>
public sealed class QueueFullException(string message) : TesseraException(message);
