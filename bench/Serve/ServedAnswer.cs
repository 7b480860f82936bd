using System.Diagnostics;

namespace Tessera.Bench;

/// <summary>An answer as its reader saw it: when it was asked for, and when each of its tokens was there.</summary>
sealed class ServedAnswer(int tokens)
{
    readonly long[] times = new long[tokens];

    /// <summary>When it was asked for.</summary>
    public long Start { get; private set; }

    /// <summary>Tokens that came.</summary>
    public int Count { get; private set; }

    public ReadOnlySpan<long> Times => times.AsSpan(0, Count);

    /// <summary>Tokens of its prompt that lay in the cache.</summary>
    public int CachedTokens { get; private set; }

    /// <summary>Whether all that were asked for came.</summary>
    public bool IsWhole => Count == times.Length;

    public int PromptTokens { get; private set; }

    public long First => times[0];

    public long Last => times[Count - 1];

    /// <summary>Milliseconds from asking to the first token.</summary>
    public double FirstMs => Stopwatch.GetElapsedTime(Start, First).TotalMilliseconds;

    /// <summary>Milliseconds of each token behind the first; 0 where there is none.</summary>
    public double TokenMs => Count > 1 ? Stopwatch.GetElapsedTime(First, Last).TotalMilliseconds / (Count - 1) : 0;

    /// <summary>Asks for an answer and reads it to its end.</summary>
    /// <param name="options">With the number of tokens.</param>
    /// <exception cref="TesseraException">It ended before all its tokens were there, and nobody stopped it.</exception>
    public static async Task<ServedAnswer> Read(Engine engine, int[] prompt, GenerationOptions options, CancellationToken stop)
    {
        var answer = new ServedAnswer(options.MaxTokens) { PromptTokens = prompt.Length, Start = Stopwatch.GetTimestamp() };
        await foreach (var token in engine.GenerateIds(prompt, options, stop).ConfigureAwait(false))
        {
            if (token.Report is not { } report) answer.times[answer.Count++] = Stopwatch.GetTimestamp();
            else
            {
                answer.CachedTokens = report.CachedTokens;
                if (!answer.IsWhole && report.End != EndReason.Stopped)
                    throw new TesseraException($"an answer ended after {answer.Count} of {options.MaxTokens} tokens: {report.End}");
            }
        }
        return answer;
    }
}
