using Tessera.Runtime.Models;
using Tessera.Runtime.Sampling;

namespace Tessera.Scheduling;

/// <summary>One answer of a request: the sequence that is planned, with what draws its tokens. It keeps that when it is preempted.</summary>
sealed class Answer(RequestStream stream, int index, Order order, Answer? leader, int vocabulary)
    : Sequence(stream.Request.Prompt, stream.Limit, order, stream.Request.Salt, leader)
{
    readonly Sampler sampler = new(stream.Request.Sampling with { Seed = stream.Request.Sampling.Seed + index }, vocabulary);

    public RequestStream Stream => stream;

    public int Index => index;

    /// <summary>Tokens that were given out.</summary>
    public int Generated { get; set; }

    /// <summary>Its row of the step's results; −1: no logits are wanted.</summary>
    public int Wanted { get; set; }

    /// <summary>Its set of rules; −1: none.</summary>
    public int RuleSet => stream.Request.IsRuled ? Row : -1;

    public int Draw(Runner runner) => sampler.Draw(runner, Wanted);

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
        bool draws = count == Pending;
        if (draws && request.Mask is { } mask) runner.Rules.Mask(RuleSet, mask(Tokens[PromptCount..]));
        Wanted = draws ? runner.Batch.WantedCount : -1;
        for (int i = Computed; i < Computed + count; i++) runner.Batch.Add(Tokens[i], Row, i, wanted: i == Count - 1, RuleSet);
    }

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
        var request = stream.Request;
        rules.Edit(RuleSet, id, (generated ? request.Sampling.PresencePenalty : 0) - request.BiasOf(id), request.Sampling.RepetitionPenalty!.Value);
    }
}
