using Tessera.Runtime.Models;
using Tessera.Runtime.Sampling;
using Tessera.Runtime.Tokens;

namespace Tessera.Scheduling;

/// <summary>One answer of a request: the sequence that is planned, with what draws its tokens. It keeps that when it is preempted.</summary>
sealed class Answer(RequestStream stream, int index, Order order, Answer? leader, int vocabulary)
    : Sequence(stream.Request.Prompt, stream.Limit, order, stream.Request.Salt, leader)
{
    readonly AnswerBytes? reading = stream.Request.Reading?.Invoke();
    readonly Sampler sampler = new(stream.Request.Sampling with { Seed = stream.Request.Sampling.Seed + index }, vocabulary);

    public RequestStream Stream => stream;

    public int Index => index;

    /// <summary>Tokens that were given out.</summary>
    public int Generated { get; set; }

    public override bool IsDraftable => stream.Request is { Penalised: false, Mask: null, IsEmbedding: false };

    /// <summary>The row of the step's results that it draws from next; −1: no logits are wanted.</summary>
    public int Wanted { get; set; }

    /// <summary>Its set of rules; −1: none.</summary>
    public int RuleSet => stream.Request.IsRuled ? Row : -1;

    /// <summary>When its first step began, its first token was there, and its last; null: not yet. Times since the request came.</summary>
    public TimeSpan? Begun { get; set; }

    public TimeSpan? First { get; set; }

    public TimeSpan Last { get; set; }

    /// <summary>Seconds that it waited, was in prefill, and in decode.</summary>
    public (double Queued, double Prefill, double Decode) Times
    {
        get
        {
            double begun = Begun?.TotalSeconds ?? 0, first = First?.TotalSeconds ?? begun;
            return (begun, first - begun, First is null ? 0 : Last.TotalSeconds - first);
        }
    }

    /// <summary>See <see cref="GenerationReport"/>.</summary>
    public uint LogitsHash { get; private set; }

    /// <summary>Whether a stop string ended it.</summary>
    public bool IsStopped => reading is { IsStopped: true };

    public int Draw(Runner runner) => sampler.Draw(runner, Wanted);

    /// <summary>Adds to the hash what its last token was drawn from.</summary>
    public void Hash(Runner runner) => LogitsHash = runner.Candidates(Wanted).Hash(LogitsHash);

    /// <summary>Of a token that was drawn; null: none were asked for.</summary>
    public TokenLogprobs? LogprobsOf(int id, Runner runner)
    {
        if (stream.Request.TopLogprobs is not { } top) return null;
        var row = runner.Candidates(Wanted);
        var best = new TokenLogprob[top];
        int count = Logprobs.Best(row, best);
        // Of an id that is no candidate the row has the logit, as it is behind the rules.
        float? own = Logprobs.Of(id, row) ?? (stream.Request.IsRuled ? null : Logprobs.Of(runner.ReadLogit(Wanted, id), row.Stats));
        return new TokenLogprobs(id, own, count == top ? best : best[..count]);
    }

    /// <summary>Ids that must follow what is generated; none: the next is drawn.</summary>
    public ReadOnlySpan<int> Forced()
    {
        var request = stream.Request;
        if (reading is not null && Thinking.Forced(reading.Thinking, request.ThinkingBudget, request.ThinkingStop) is { Length: > 0 } stop) return stop;
        return request.Forced is { } forced ? forced(Tokens[PromptCount..]) : [];
    }

    /// <summary>Puts this step's tokens in the batch, and on the device what that needs: blocks, rules, mask.</summary>
    public void Fill(int count, Runner runner)
    {
        var request = stream.Request;
        if (BlocksWritten == 0)
        {
            runner.Cache.Clear(Row);
            if (request.IsRuled) Restate(runner.Rules);
        }
        for (; BlocksWritten < Blocks.Length; BlocksWritten++) runner.Cache.Set(Row, BlocksWritten, Blocks[BlocksWritten]);
        bool draws = count >= Pending;
        if (draws && request.Mask is { } mask) runner.Rules.Mask(RuleSet, mask(Tokens[PromptCount..]));
        Wanted = draws ? runner.Batch.WantedCount : -1;
        var tokens = Next(count);
        for (int i = 0; i < count; i++) runner.Batch.Add(tokens[i], Row, Computed + i, wanted: i >= Pending - 1, RuleSet, request.IsEmbedding);
    }

    /// <summary>A token more was given out: what it does to the text.</summary>
    public void Read(int id) => reading?.Append(id, out _);

    /// <summary>One token more is known.</summary>
    public void Add(int id, LogitRules rules)
    {
        Add(id);
        if (Row >= 0 && stream.Request.Penalised) Penalise(id, rules, generated: true);
    }

    /// <summary>The rules of a row that another sequence had: biases, and penalties of all that is known.</summary>
    void Restate(LogitRules rules)
    {
        var request = stream.Request;
        rules.Clear(RuleSet);
        if (request.Biases is not null)
            foreach (var (id, bias) in request.Biases) rules.Edit(RuleSet, id, -bias);
        if (!request.Penalised) return;
        for (int i = 0; i < Count; i++) Penalise(Tokens[i], rules, generated: i >= PromptCount);
    }

    void Penalise(int id, LogitRules rules, bool generated)
    {
        var (request, sampling) = (stream.Request, stream.Request.Sampling);
        float subtract = !generated ? 0 : sampling.PresencePenalty;
        if (generated && sampling.FrequencyPenalty != 0) subtract += sampling.FrequencyPenalty * Tokens[PromptCount..].Count(id);
        rules.Edit(RuleSet, id, subtract - request.BiasOf(id), sampling.RepetitionPenalty!.Value);
    }
}
