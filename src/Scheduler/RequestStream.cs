using System.Threading.Channels;

namespace Tessera.Scheduling;

/// <summary>A request on its way: its tokens come out here, for one reader, and it can be cancelled here, by any thread and at any time.</summary>
/// <remarks>
/// Each answer has one end, and behind the last the channel is complete: with an exception where the request failed or the scheduler was disposed, without
/// one where it ended in any other way, cancelling included.
/// </remarks>
sealed class RequestStream(Request request, int limit, long arrived, long deadline)
{
    readonly Channel<TokenEvent> events = Channel.CreateUnbounded<TokenEvent>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    volatile bool cancelled;

    public Request Request => request;

    /// <summary>Tokens of prompt and answer together at most.</summary>
    public int Limit => limit;

    /// <summary>In ticks of the clock.</summary>
    public long Arrived => arrived;

    /// <summary>In the clock's own units.</summary>
    public long Deadline => deadline;

    public bool Cancelled => cancelled;

    public ChannelReader<TokenEvent> Events => events.Reader;

    /// <summary>Tokens of the prompt that lay in the cache when its first answer began.</summary>
    public int CachedTokens { get; internal set; }

    /// <summary>Tokens of the prompt that were computed, over all answers, those again after a preemption included.</summary>
    public int ComputedPromptTokens { get; internal set; }

    /// <summary>Where an embedding was asked for, and no error, cancelling or deadline came before: (hidden) numbers, 1 long. There when the channel is
    /// complete.</summary>
    public float[]? Embedding { get; internal set; }

    /// <summary>Tokens that prompt lookup guessed and a step computed, and how many of them were right, over all answers.</summary>
    public (int Tokens, int Accepted) Drafts { get; internal set; }

    /// <summary>Its answers; the loop's.</summary>
    internal Answer[] Answers { get; set; } = [];

    /// <summary>Whether it left the queue: the loop's.</summary>
    internal bool Begun { get; set; }

    /// <summary>What became of an answer, behind its last event; null with any other.</summary>
    public GenerationReport? ReportOf(TokenEvent last, long stepBytes)
    {
        if (last.End is not { } end) return null;
        var answer = Answers[last.Answer];
        var (queued, prefill, decode) = answer.Times;
        return new(request.Prompt.Length, CachedTokens, answer.Generated, 0, Drafts.Accepted, queued, prefill, decode, stepBytes, answer.LogitsHash, end);
    }

    /// <summary>Ends all its answers at the start of the next step.</summary>
    public void Cancel() => cancelled = true;

    internal void Write(TokenEvent one) => events.Writer.TryWrite(one);

    /// <returns>False where it was complete already.</returns>
    internal bool Complete(Exception? error) => events.Writer.TryComplete(error);
}
