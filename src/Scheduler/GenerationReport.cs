namespace Tessera;

/// <summary>Why an answer ended.</summary>
public enum EndReason { Stopped, EndOfAnswer, StopString, MaxTokens, ContextFull, Deadline }

/// <summary>The prompt leaves no room for an answer.</summary>
public sealed class ContextFullException(string message) : TesseraException(message);

/// <summary>There is no room for another request to wait: try again later.</summary>
public sealed class QueueFullException(string message) : TesseraException(message);

/// <summary>What became of an answer.</summary>
/// <param name="PromptTokens">All of the prompt.</param>
/// <param name="CachedTokens">Those of them that lay in the cache.</param>
/// <param name="Tokens">Of the answer, those that were forced included.</param>
/// <param name="ThinkingTokens">Those of them that were thinking; told apart where text is made of them, 0 where ids are asked for.</param>
/// <param name="GuessedTokens">Those of the request that came beside another in one step, since what had followed before followed again.</param>
/// <param name="QueuedSeconds">From the request to its first step.</param>
/// <param name="PrefillSeconds">From there to the first token.</param>
/// <param name="DecodeSeconds">From there to the last.</param>
/// <param name="StepBytes">Bytes of weights that a decode step reads.</param>
/// <param name="LogitsHash">Of what every token was drawn from: it compares answers on one device. 0: nothing was drawn.</param>
public sealed record GenerationReport(int PromptTokens, int CachedTokens, int Tokens, int ThinkingTokens, int GuessedTokens, double QueuedSeconds,
    double PrefillSeconds, double DecodeSeconds, long StepBytes, uint LogitsHash, EndReason End)
{
    public double TokensPerSecond => DecodeSeconds > 0 ? Math.Max(0, Tokens - 1) / DecodeSeconds : 0;

    /// <summary>Bytes of weights per second while decoding, where no other answer ran beside this one.</summary>
    public double BytesPerSecond => DecodeSeconds > 0 ? Math.Max(0, Tokens - 1 - GuessedTokens) / DecodeSeconds * StepBytes : 0;
}
