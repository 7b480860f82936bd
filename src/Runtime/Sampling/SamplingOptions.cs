using Tessera.Runtime.Sampling;

namespace Tessera;

/// <summary>How the next token is drawn. What is left null comes from the model's own defaults for the thinking mode.</summary>
public sealed record SamplingOptions
{
    /// <summary>0: greedy.</summary>
    public float? Temperature { get; init; }

    /// <summary>Only the k most probable; 0: all.</summary>
    public int? TopK { get; init; }

    /// <summary>Only the most probable that together reach this probability.</summary>
    public float? TopP { get; init; }

    /// <summary>Only those at least this fraction as probable as the best.</summary>
    public float? MinP { get; init; }

    /// <summary>Subtracted once from the logit of every token already generated.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>Subtracted from the logit of a token for every time that it was generated.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Divides the positive and multiplies the negative logits of tokens already in the context.</summary>
    public float? RepetitionPenalty { get; init; }

    /// <summary>The same seed gives the same answer on one device; null: another each time.</summary>
    public int? Seed { get; init; }

    public static readonly SamplingOptions Greedy = new() { Temperature = 0 };

    /// <summary>
    /// Fills in the model's defaults. Without thinking Qwen advises its own (0.7, top-p 0.8), where the file has the hybrid model's (0.6, top-p 0.95).
    /// </summary>
    internal SamplingOptions Over(GenerationDefaults model, bool thinking)
    {
        bool calmer = !thinking && model is { DoSample: true, Temperature: 0.6f, TopP: 0.95f };
        return this with
        {
            Temperature = Temperature ?? (!model.DoSample ? 0 : calmer ? 0.7f : model.Temperature),
            TopK = TopK ?? model.TopK,
            TopP = TopP ?? (calmer ? 0.8f : model.TopP),
            MinP = MinP ?? model.MinP,
            RepetitionPenalty = RepetitionPenalty ?? model.RepetitionPenalty,
        };
    }

    internal void Check()
    {
        void Require(bool met, string what, object? found)
        {
            if (!met) throw new TesseraException($"{what}, found {found}");
        }
        Require(Temperature is >= 0 and <= 100, "temperature must be 0 to 100", Temperature);
        Require(TopK is >= 0, "top-k must be 0 or more", TopK);
        Require(TopP is > 0 and <= 1, "top-p must be above 0 and at most 1", TopP);
        Require(MinP is >= 0 and <= 1, "min-p must be 0 to 1", MinP);
        Require(PresencePenalty is >= -10 and <= 10, "presence penalty must be -10 to 10", PresencePenalty);
        Require(FrequencyPenalty is >= -10 and <= 10, "frequency penalty must be -10 to 10", FrequencyPenalty);
        Require(RepetitionPenalty is > 0 and <= 100, "repetition penalty must be above 0", RepetitionPenalty);
    }
}
