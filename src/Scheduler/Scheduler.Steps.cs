using Tessera.Runtime.Models;

namespace Tessera.Scheduling;

/// <summary>The parts of a turn.</summary>
sealed partial class Scheduler
{
    /// <summary>Takes in who came, and ends who was cancelled or is too late: their blocks are free for this step.</summary>
    void Drain()
    {
        while (inbox.Reader.TryRead(out var stream))
        {
            active.Add(stream);
            stream.Answers = new Answer[stream.Request.Answers];
            var order = Order.Of(stream.Request.Priority, stream.Arrived, agingPeriod, arrivals);
            for (int i = 0; i < stream.Answers.Length; i++)
            {
                var answer = new Answer(stream, i, order with { Arrival = arrivals++ }, i > 0 ? stream.Answers[0] : null, runner.RealIds);
                stream.Answers[i] = answer;
                state.Enqueue(answer);
            }
            foreach (var answer in stream.Answers) if (!answer.Ended) Force(answer);
        }
        long now = clock.GetTimestamp();
        for (int i = active.Count - 1; i >= 0; i--)
        {
            var stream = active[i];
            if (!stream.Cancelled && now < stream.Deadline) continue;
            foreach (var answer in stream.Answers)
                if (!answer.Ended) End(answer, stream.Cancelled ? EndReason.Stopped : EndReason.Deadline);
        }
    }

    void Fill()
    {
        runner.Batch.Clear();
        foreach (var (sequence, count) in plan.Entries)
        {
            var answer = (Answer)sequence;
            if (answer.Ended) continue;                      // another answer of its request failed in this step
            Begin(answer);
            answer.Stream.ComputedPromptTokens += Math.Clamp(answer.PromptCount - answer.Computed, 0, count);
            try { answer.Fill(count, runner); }
            catch (Exception e) { Fail(answer.Stream, e); }  // a rule that the runner refuses, or a mask that throws
        }
    }

    /// <summary>Draws the next token of every sequence that caught up, and those behind it as far as its draft was right; an embedding is at its end
    /// there.</summary>
    void Settle()
    {
        foreach (var (sequence, count) in plan.Entries)
        {
            var answer = (Answer)sequence;
            if (answer.Ended) continue;
            answer.Advance(count - answer.Drafted, state.Pool);
            if (answer.Wanted < 0) continue;
            if (answer.Stream.Request.IsEmbedding)
            {
                Embed(answer);
                continue;
            }
            var (drafted, accepted) = answer.Stream.Drafts;
            answer.Stream.Drafts = (drafted + answer.Drafted, accepted);
            while (Draw(answer)) answer.Wanted++;
            answer.DropDraft();
        }
    }

    /// <summary>Draws a token. True: the draft has it too, so that what was computed behind it holds.</summary>
    bool Draw(Answer answer)
    {
        int id;
        try { id = answer.Draw(runner); }
        catch (TesseraException e)                           // logits that are not finite, nothing left to draw
        {
            Fail(answer.Stream, e);
            return false;
        }
        answer.Hash(runner);
        if (IsEnd(answer, id))
        {
            End(answer, EndReason.EndOfAnswer);
            return false;
        }
        bool accepted = answer.Accepts(id);
        if (accepted) answer.Stream.Drafts = (answer.Stream.Drafts.Tokens, answer.Stream.Drafts.Accepted + 1);
        if (!Give(answer, id, answer.LogprobsOf(id, runner))) return false;
        Force(answer);
        if (!accepted || answer.Ended) return false;
        answer.Advance(1, state.Pool);
        return answer.Pending == 0;                          // else tokens that are forced follow, and no draft knew
    }

    void Embed(Answer answer)
    {
        try
        {
            answer.Stream.Embedding = Embedding.Of(runner, answer.Wanted);
            End(answer, EndReason.EndOfAnswer);
        }
        catch (TesseraException e) { Fail(answer.Stream, e); } // a state that is not finite
    }

    static bool IsEnd(Answer answer, int id)
    {
        var ids = answer.Stream.Request.EndIds;
        for (int i = 0; i < ids.Count; i++) if (ids[i] == id) return true;
        return false;
    }

    /// <summary>Gives a token out and makes it known. False: it was the last.</summary>
    bool Give(Answer answer, int id, TokenLogprobs? logprobs = null)
    {
        undelivered.Add((answer.Stream, new TokenEvent(answer.Index, id, Logprobs: logprobs)));
        answer.Generated++;
        answer.Last = SinceArrival(answer);
        answer.First ??= answer.Last;
        answer.Read(id);
        if (answer.IsStopped) End(answer, EndReason.StopString);
        else if (answer.Generated == answer.Stream.Request.MaxTokens) End(answer, EndReason.MaxTokens);
        else if (answer.Count == answer.Limit) End(answer, EndReason.ContextFull); // the last token needs no place
        else answer.Add(id, runner.Rules);
        return !answer.Ended;
    }

    /// <summary>Tokens that must follow are known at once, and computed like a prompt.</summary>
    void Force(Answer answer)
    {
        try
        {
            foreach (int id in answer.Forced()) if (!Give(answer, id)) return;
        }
        catch (Exception e) { Fail(answer.Stream, e); }      // what a caller's function throws is its request's matter
    }

    void Begin(Answer answer)
    {
        var stream = answer.Stream;
        answer.Begun ??= SinceArrival(answer);
        if (stream.Begun) return;
        stream.Begun = true;
        stream.CachedTokens = answer.Computed;
        Interlocked.Decrement(ref queued);
    }

    TimeSpan SinceArrival(Answer answer) => clock.GetElapsedTime(0) - TimeSpan.FromTicks(answer.Stream.Arrived);

    /// <summary>Whether a step that runs has nobody who waits for it. Between its parts there is time to give out what the last one drew.</summary>
    bool IsStopped()
    {
        Deliver();
        if (stopping) return true;
        foreach (var (sequence, _) in plan.Entries) if (!((Answer)sequence).Stream.Cancelled) return false;
        return true;
    }

    void End(Answer answer, EndReason reason)
    {
        state.End(answer);
        undelivered.Add((answer.Stream, new TokenEvent(answer.Index, -1, reason)));
        if (Array.TrueForAll(answer.Stream.Answers, a => a.Ended)) Close(answer.Stream, null);
    }

    /// <summary>One request fails, and nobody else.</summary>
    void Fail(RequestStream stream, Exception error)
    {
        foreach (var answer in stream.Answers) if (!answer.Ended) state.End(answer);
        Close(stream, Failed(error));
    }

    void Close(RequestStream stream, Exception? error)
    {
        if (!stream.Begun) Interlocked.Decrement(ref queued);
        stream.Begun = true;
        active.Remove(stream);
        completed.Add((stream, error));
    }

    void Deliver()
    {
        foreach (var (stream, one) in undelivered) stream.Write(one);
        foreach (var (stream, error) in completed) stream.Complete(error);
        undelivered.Clear();
        completed.Clear();
    }
}
