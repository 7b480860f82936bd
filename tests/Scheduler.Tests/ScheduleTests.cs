using CsCheck;
using Tessera.Shaders;
using Xunit;

namespace Tessera.Scheduling.Tests;

/// <summary>Random schedules on the ledger device: whatever comes, whenever, into whatever pool, the books are right.</summary>
public class ScheduleTests
{
    /// <summary>A request, when it arrives, and how its caller treats it; times in steps.</summary>
    sealed record Arrival(int After, int Prefix, int Own, int Max, int Priority, int Answers, int CancelAfter, int TimeoutSteps, int Sampling, bool Salted,
        bool Embeds);

    /// <summary>Whether texts repeat themselves, and rows of logits beyond one for each sequence, which drafts take.</summary>
    sealed record Texts(bool Repeat, int MoreWanted);

    sealed record Schedule(int Blocks, int Rows, int Tokens, int AgingSteps, double Milliseconds, Texts Texts, Arrival[] Arrivals);

    static readonly Gen<Arrival> arrivals =
        from after in Gen.Int[0, 8]
        from prefix in Gen.Int[0, 70]
        from own in Gen.Int[1, 30]
        from max in Gen.Int[0, 24]
        from priority in Gen.Int[-3, 3]
        from answers in Gen.Frequency((6, Gen.Const(1)), (1, Gen.Int[2, 4]))
        from cancel in Gen.Frequency((3, Gen.Const(-1)), (1, Gen.Int[0, 40]))
        from timeout in Gen.Frequency((5, Gen.Const(-1)), (1, Gen.Int[1, 40]))
        from sampling in Gen.Int[0, 3]
        from salted in Gen.Frequency((4, Gen.Const(false)), (1, Gen.Const(true)))
        from embeds in Gen.Frequency((5, Gen.Const(false)), (1, Gen.Const(true)))
        select new Arrival(after, prefix, own, max, priority, answers, cancel, timeout, sampling, salted, embeds);

    static Gen<Schedule> Schedules(int requests) =>
        from blocks in Gen.Int[1, 24]
        from rows in Gen.Int[1, 4]
        from tokens in Gen.Int[4, 64]
        from aging in Gen.Int[1, 50]
        from milliseconds in Gen.Double[0.5, 20]
        from texts in Gen.Frequency((2, Gen.Const(new Texts(false, 0))), (1, Gen.Const(new Texts(true, 2))), (1, Gen.Const(new Texts(true, 15))))
        from all in arrivals.Array[1, requests]
        select new Schedule(blocks, rows, tokens, aging, milliseconds, texts, all);

    static int drafted, accepted;

    [Fact]
    public void Ten_thousand_schedules_keep_their_books()
    {
        Schedules(9).Sample(Run, iter: 10_000, seed: "0N0XIzNsQ0O2", threads: 2);
        Assert.True(accepted > 10_000 && drafted - accepted > 10_000, $"{accepted} of {drafted} guesses were right: the schedules try too little");
    }

    [Fact, Trait("set", "all")]
    public void A_hundred_thousand_schedules_of_fewer_requests_keep_their_books() => Schedules(4).Sample(Run, iter: 100_000, seed: "2N0XIzNsQ0O2", threads: 2);

    [ThreadStatic]
    static Dictionary<(int, int, Texts), Ledger>? ledgers;

    /// <summary>Runners are made once, and used by one schedule after another.</summary>
    static Ledger For(int blocks, int rows, Texts texts)
    {
        if ((ledgers ??= []).TryGetValue((blocks, rows, texts), out var ledger)) return ledger;
        ledger = new Ledger(blocks, rows, 8, 64, script: texts.Repeat ? Ledger.Repeating : null, wanted: rows + texts.MoreWanted)
        {
            Cost = (tokens, _) => 1 + tokens / 32,
        };
        ledgers.Add((blocks, rows, texts), ledger);
        return ledger;
    }

    /// <summary>Prompts with common beginnings.</summary>
    static Request Make(Arrival a, int index, int context) => new()
    {
        Prompt = [.. Ledger.Prompt(70).AsSpan(0, Math.Min(a.Prefix, Math.Max(0, context - 2))), .. Ledger.Prompt(a.Own, 1 + index % 3)
            .AsSpan(0, Math.Min(a.Own, context - 1 - Math.Min(a.Prefix, Math.Max(0, context - 2))))],
        Sampling = a.Sampling switch
        {
            0 or 1 => Ledger.Greedy,
            2 => Ledger.Sampled(0.8f, index),
            _ => Ledger.Sampled(1, index, presence: 0.5f, repetition: 1.2f),
        },
        MaxTokens = a.Max, Priority = a.Priority, Answers = a.Answers, Salt = a.Salted ? "salt" : null, EndIds = [17, 99],
        Timeout = a.TimeoutSteps >= 0 ? TimeSpan.FromMilliseconds(a.TimeoutSteps) : null, IsEmbedding = a.Embeds,
    };

    static void Run(Schedule schedule)
    {
        var options = new SchedulerOptions { StepMilliseconds = schedule.Milliseconds, AgingPeriod = TimeSpan.FromMilliseconds(schedule.AgingSteps) };
        var ledger = For(schedule.Blocks, schedule.Rows, schedule.Texts);
        ledger.Restart(options with { StepTokens = schedule.Tokens });
        var scheduler = ledger.Scheduler;
        var sent = new List<(RequestStream Stream, Arrival Arrival, int Step)>();
        int next = 0, due = schedule.Arrivals[0].After, step = 0;
        bool busy = true;
        for (; busy || next < schedule.Arrivals.Length; step++)
        {
            Assert.True(step < 4000, "somebody starves");
            for (; next < schedule.Arrivals.Length && due <= step; due += next < schedule.Arrivals.Length ? schedule.Arrivals[next].After : 0)
            {
                var arrival = schedule.Arrivals[next];
                sent.Add((ledger.Submit(Make(arrival, next++, scheduler.Context)), arrival, step));
            }
            foreach (var (stream, arrival, at) in sent) if (arrival.CancelAfter >= 0 && step == at + arrival.CancelAfter) stream.Cancel();
            busy = scheduler.Step();
            Check(ledger, schedule);
            foreach (var sequence in scheduler.State.Running) if (((Answer)sequence).Stream.Cancelled) Assert.Fail("cancelled, and runs");
        }
        Assert.Equal((0, 0, 0), (ledger.Pool.Held, scheduler.State.Running.Count, scheduler.State.Waiting.Count));
        foreach (var (stream, arrival, _) in sent) CheckAnswers(stream, arrival, scheduler.Context, schedule.Texts.Repeat);
    }

    /// <summary>Every block is held by those whose tables have it, once by each, and each sequence has its own row.</summary>
    static void Check(Ledger ledger, Schedule schedule)
    {
        var state = ledger.Scheduler.State;
        Span<int> holders = stackalloc int[schedule.Blocks];
        int rows = 0;
        foreach (var sequence in state.Running)
        {
            Assert.True((rows & 1 << sequence.Row) == 0);
            rows |= 1 << sequence.Row;
            for (int i = 0; i < sequence.Blocks.Length; i++)
            {
                holders[sequence.Blocks[i]]++;
                if (i >= sequence.Computed / KvBlock.Tokens && state.Pool.Name(sequence.Blocks[i]) is not null) Assert.Fail("named, and not yet full");
            }
        }
        int inUse = 0;
        for (int block = 0; block < holders.Length; block++)
        {
            if (holders[block] != state.Pool.References(block))
                Assert.Fail($"block {block}: {holders[block]} have it, {state.Pool.References(block)} are counted");
            if (holders[block] > 0) inUse++;
        }
        Assert.Equal((inUse, schedule.Blocks), (state.Pool.Held, state.Pool.Free + state.Pool.Cached + state.Pool.Held));
        Assert.Equal(schedule.Rows, state.FreeRows + state.Running.Count);
        Assert.True(ledger.Scheduler.LastPlan.Tokens <= Math.Max(schedule.Tokens, schedule.Rows));
        foreach (var sequence in state.Waiting) Assert.True(sequence.Blocks.Length == 0 && sequence.Row < 0);
    }

    /// <summary>Each answer has one end, and the ids that it would have alone.</summary>
    static void CheckAnswers(RequestStream stream, Arrival arrival, int context, bool repeat)
    {
        var request = stream.Request;
        Assert.False(stream.Complete(null), "it had no end");
        Interlocked.Add(ref drafted, stream.Drafts.Tokens);
        Interlocked.Add(ref accepted, stream.Drafts.Accepted);
        var answers = Ledger.Read(stream);
        for (int i = 0; i < answers.Length; i++)
        {
            var (ids, ends) = answers[i];
            var end = Assert.Single(ends);
            Assert.True(end != EndReason.Stopped || arrival.CancelAfter >= 0);
            Assert.True(end != EndReason.Deadline || arrival.TimeoutSteps >= 0);
            if (request.IsEmbedding)
            {
                Assert.Empty(ids);
                if (end == EndReason.EndOfAnswer) Assert.Equal(Ledger.ExpectedVector(request.Prompt), stream.Embedding);
                continue;
            }
            Assert.True(end != EndReason.MaxTokens || ids.Count == request.MaxTokens);
            Assert.True(end != EndReason.ContextFull || request.Prompt.Length + ids.Count - 1 == context);
            var (alone, _) = Alone(request, i, ids.Count, repeat);
            Assert.Equal(alone, ids);
        }
    }

    /// <summary>The answer by definition where it is greedy, else by a scheduler that has nothing else to do, with room enough, and without drafts.</summary>
    static (List<int> Ids, EndReason End) Alone(Request request, int answer, int count, bool repeat)
    {
        if (request.Sampling.Temperature == 0 && !request.Penalised)
            return ([.. Ledger.Expected(request.Prompt, count, repeat ? Ledger.Repeating : null)], default);
        if (count == 0) return ([], default);
        var ledger = For(8, 1, new Texts(repeat, 0));
        ledger.Restart(new SchedulerOptions());
        var (ids, ends) = ledger.Answer(request with
        {
            Answers = 1, Timeout = null, MaxTokens = count, Sampling = request.Sampling with { Seed = request.Sampling.Seed + answer },
        });
        return (ids, ends[0]);
    }
}
