using Tessera.Runtime.Devices.Ledger;
using Tessera.Shaders;
using Xunit;

namespace Tessera.Scheduling.Tests;

/// <summary>The loop on the ledger device: each way in, each way out, and what each leaves behind.</summary>
public class SchedulerTests
{
    static void IsEmpty(Ledger ledger)
    {
        Assert.Equal((0, ledger.Pool.Total), (ledger.Pool.Held, ledger.Pool.Free + ledger.Pool.Cached));
        Assert.Equal((0, 0, ledger.Scheduler.State.Rows),
            (ledger.Scheduler.State.Running.Count, ledger.Scheduler.State.Waiting.Count, ledger.Scheduler.State.FreeRows));
    }

    [Fact]
    public void An_answer_follows_from_exactly_its_history()
    {
        using var ledger = new Ledger();
        int[] prompt = Ledger.Prompt(37);
        var (ids, ends) = ledger.Answer(Ledger.Continue(prompt, 40));
        Assert.Equal(Ledger.Expected(prompt, 40), ids);
        Assert.Equal([EndReason.MaxTokens], ends);
        IsEmpty(ledger);
    }

    [Fact]
    public void Many_share_steps_and_answer_as_alone()
    {
        using var ledger = new Ledger(rows: 8);
        var streams = Enumerable.Range(0, 20).Select(i => ledger.Submit(Ledger.Continue(Ledger.Prompt(5 + 7 * i, i), 6))).ToList();
        int steps = ledger.Drain();
        Assert.InRange(steps, 6, 60);
        for (int i = 0; i < 20; i++) Assert.Equal(Ledger.Expected(Ledger.Prompt(5 + 7 * i, i), 6), Ledger.Read(streams[i])[0].Ids);
        IsEmpty(ledger);
    }

    [Fact]
    public void A_second_request_computes_only_what_it_does_not_share()
    {
        using var ledger = new Ledger(blocks: 100, blocksPerRow: 100);
        int[] first = Ledger.Prompt(1000), second = [.. first, .. Ledger.Prompt(20, 9)];
        ledger.Answer(Ledger.Continue(first, 4));
        var stream = ledger.Submit(Ledger.Continue(second, 4));
        ledger.Drain();
        Assert.Equal(Ledger.Expected(second, 4), Ledger.Read(stream)[0].Ids);
        Assert.Equal((992, 28), (stream.CachedTokens, stream.ComputedPromptTokens));
        var salted = ledger.Submit(Ledger.Continue(first, 1) with { Salt = "other" });
        ledger.Drain();
        Assert.Equal((0, 1000), (salted.CachedTokens, salted.ComputedPromptTokens));
    }

    [Fact]
    public void A_conversation_goes_on_from_what_it_computed()
    {
        using var ledger = new Ledger();
        int[] prompt = Ledger.Prompt(30);
        var (ids, _) = ledger.Answer(Ledger.Continue(prompt, 40));
        int[] next = [.. prompt, .. ids, .. Ledger.Prompt(5, 3)];
        var stream = ledger.Submit(Ledger.Continue(next, 4));
        ledger.Drain();
        Assert.Equal(Ledger.Expected(next, 4), Ledger.Read(stream)[0].Ids);
        Assert.Equal((30 + 40 - 1) / 16 * 16, stream.CachedTokens); // the last token that was drawn was not computed
    }

    [Fact]
    public void Four_answers_share_the_prompts_blocks()
    {
        using var ledger = new Ledger(blocks: 400, blocksPerRow: 100);
        int[] prompt = Ledger.Prompt(1000);
        var stream = ledger.Submit(Ledger.Continue(prompt, 30) with { Answers = 4, Sampling = Ledger.Sampled(1) });
        ledger.Drain();
        var answers = Ledger.Read(stream);
        Assert.InRange(stream.ComputedPromptTokens, 1000, 1064);
        Assert.All(answers, a => Assert.Equal((30, EndReason.MaxTokens), (a.Ids.Count, Assert.Single(a.Ends))));
        Assert.Equal(4, answers.Select(a => string.Join(' ', a.Ids)).Distinct().Count());
        for (int i = 0; i < 4; i++) // each as a request with its seed alone
        {
            using var alone = new Ledger(blocks: 400, blocksPerRow: 100);
            Assert.Equal(alone.Answer(Ledger.Continue(prompt, 30) with { Sampling = Ledger.Sampled(1, 1 + i) }).Ids, answers[i].Ids);
        }
        IsEmpty(ledger);
    }

    [Fact]
    public void A_pool_too_small_for_all_gives_all_their_answers()
    {
        using var ledger = new Ledger(blocks: 6, rows: 4);
        var streams = Enumerable.Range(0, 6).Select(i => ledger.Submit(Ledger.Continue(Ledger.Prompt(20, i), 40) with
        {
            Sampling = Ledger.Sampled(1, i, presence: i % 2, repetition: 1 + 0.1f * i),
        })).ToList();
        ledger.Drain();
        Assert.True(ledger.Scheduler.Preemptions > 0);
        for (int i = 0; i < 6; i++)
        {
            using var alone = new Ledger();
            Assert.Equal(alone.Answer(streams[i].Request).Ids, Ledger.Read(streams[i])[0].Ids);
        }
        IsEmpty(ledger);
    }

    [Fact]
    public void One_sequence_fills_the_pool_and_ends_there()
    {
        using var ledger = new Ledger(blocks: 3);
        var (ids, ends) = ledger.Answer(Ledger.Continue(Ledger.Prompt(10), 0));
        Assert.Equal([EndReason.ContextFull], ends);
        Assert.Equal(Ledger.Expected(Ledger.Prompt(10), 39), ids); // 48 places, and a last token that needs none
        IsEmpty(ledger);
    }

    [Fact]
    public void An_answer_ends_at_an_end_id_which_is_no_part_of_it()
    {
        using var ledger = new Ledger();
        int[] expected = Ledger.Expected(Ledger.Prompt(10), 30);
        int end = expected[20];
        var (ids, ends) = ledger.Answer(Ledger.Continue(Ledger.Prompt(10), 100) with { EndIds = [end] });
        Assert.Equal(expected.TakeWhile(id => id != end), ids);
        Assert.Equal([EndReason.EndOfAnswer], ends);
    }

    [Theory]
    [InlineData(0)]  // in the inbox
    [InlineData(1)]  // in prefill
    [InlineData(5)]  // in decode
    public void Cancelling_frees_what_it_has_within_a_step(int steps)
    {
        using var ledger = new Ledger(tokens: 16, rows: 4);
        var other = ledger.Submit(Ledger.Continue(Ledger.Prompt(5, 1), 30));
        ledger.Scheduler.Step();
        var stream = ledger.Submit(Ledger.Continue(Ledger.Prompt(40), 100));
        for (int i = 0; i < steps; i++) ledger.Scheduler.Step();
        Assert.Equal(steps > 0 ? 2 : 1, ledger.Scheduler.State.Running.Count);
        stream.Cancel();
        stream.Cancel();
        ledger.Scheduler.Step();
        Assert.Single(ledger.Scheduler.State.Running);
        Assert.Equal(1, ledger.Pool.Held);
        Assert.Equal([EndReason.Stopped], Ledger.Read(stream)[0].Ends);
        Assert.True(stream.Events.Completion.IsCompletedSuccessfully);
        ledger.Drain();
        stream.Cancel(); // too late, and no harm
        Assert.Equal(Ledger.Expected(Ledger.Prompt(5, 1), 30), Ledger.Read(other)[0].Ids);
        IsEmpty(ledger);
    }

    [Fact]
    public void One_that_waits_is_cancelled_without_a_block()
    {
        using var ledger = new Ledger(rows: 4, blocks: 8, blocksPerRow: 8);
        var running = ledger.Submit(Ledger.Continue(Ledger.Prompt(100), 5));
        ledger.Scheduler.Step();
        var waiting = ledger.Submit(Ledger.Continue(Ledger.Prompt(100, 1), 5));
        ledger.Scheduler.Step();
        Assert.Single(ledger.Scheduler.State.Waiting);
        waiting.Cancel();
        ledger.Drain();
        Assert.Equal([EndReason.Stopped], Ledger.Read(waiting)[0].Ends);
        Assert.Equal(5, Ledger.Read(running)[0].Ids.Count);
        IsEmpty(ledger);
    }

    [Fact]
    public void A_deadline_ends_an_answer_where_it_is()
    {
        using var ledger = new Ledger { Cost = (_, _) => 10 };
        var stream = ledger.Submit(Ledger.Continue(Ledger.Prompt(5), 100) with { Timeout = TimeSpan.FromMilliseconds(55) });
        ledger.Drain();
        var (ids, ends) = Ledger.Read(stream)[0];
        Assert.Equal([EndReason.Deadline], ends);
        Assert.Equal(6, ids.Count);
        IsEmpty(ledger);
    }

    [Fact]
    public void One_more_than_may_wait_is_refused()
    {
        using var ledger = new Ledger(rows: 1, options: new SchedulerOptions { MaxQueued = 2 });
        var first = ledger.Submit(Ledger.Continue(Ledger.Prompt(5), 10));
        ledger.Scheduler.Step(); // runs, and waits no more
        ledger.Submit(Ledger.Continue(Ledger.Prompt(5, 1)));
        var last = ledger.Submit(Ledger.Continue(Ledger.Prompt(5, 2)));
        Assert.Contains("2 requests wait already", Assert.Throws<QueueFullException>(() => ledger.Submit(Ledger.Continue(Ledger.Prompt(5, 3)))).Message);
        last.Cancel();
        ledger.Scheduler.Step();
        ledger.Submit(Ledger.Continue(Ledger.Prompt(5, 4)));
        ledger.Drain();
        Assert.Equal(10, Ledger.Read(first)[0].Ids.Count);
        for (int i = 0; i < 2; i++) ledger.Submit(Ledger.Continue(Ledger.Prompt(5, i)));
        Assert.Throws<QueueFullException>(() => ledger.Submit(Ledger.Continue(Ledger.Prompt(5, 3))));
    }

    [Fact]
    public void Forced_tokens_begin_an_answer_and_break_in_on_it()
    {
        using var ledger = new Ledger();
        int[] start = [3, 1, 4], after = [.. Enumerable.Range(40, 24)];
        ReadOnlySpan<int> Forced(ReadOnlySpan<int> generated) => generated.Length switch { 0 => start, 8 => after, _ => default };
        int[] prompt = Ledger.Prompt(20);
        var stream = ledger.Submit(Ledger.Continue(prompt, 40) with { Forced = Forced });
        int steps = ledger.Drain();
        var ids = Ledger.Read(stream)[0].Ids;
        Assert.Equal(start, ids[..3]);
        Assert.Equal(Ledger.Expected([.. prompt, .. start], 5), ids[3..8]);
        Assert.Equal(after, ids[8..32]);
        Assert.Equal(Ledger.Expected([.. prompt, .. ids[..32]], 8), ids[32..]);
        Assert.Equal(5 + 8, steps); // 24 tokens in one chunk
    }

    [Fact]
    public void Masks_and_biases_decide_and_belong_to_one_request()
    {
        using var ledger = new Ledger(rows: 2);
        int[] even = [.. Enumerable.Repeat(0x55555555, Ledger.Ids / 32)];
        var masked = ledger.Submit(Ledger.Continue(Ledger.Prompt(9), 20) with { Mask = _ => even });
        var biased = ledger.Submit(Ledger.Continue(Ledger.Prompt(9, 1), 20) with { Biases = new Dictionary<int, float> { [77] = 100 } });
        var plain = ledger.Submit(Ledger.Continue(Ledger.Prompt(9, 2), 20));
        ledger.Drain();
        Assert.All(Ledger.Read(masked)[0].Ids, id => Assert.Equal(0, id % 2));
        Assert.All(Ledger.Read(biased)[0].Ids, id => Assert.Equal(77, id));
        Assert.Equal(Ledger.Expected(Ledger.Prompt(9, 2), 20), Ledger.Read(plain)[0].Ids);
    }

    [Fact]
    public async Task What_a_callers_function_throws_ends_its_request_alone()
    {
        using var ledger = new Ledger();
        var thrown = ledger.Submit(Ledger.Continue(Ledger.Prompt(9), 20) with
        {
            Mask = generated => generated.Length == 3 ? throw new FormatException("no") : default,
        });
        var wide = ledger.Submit(Ledger.Continue(Ledger.Prompt(9), 20) with { Mask = _ => new int[99] });
        var forced = ledger.Submit(Ledger.Continue(Ledger.Prompt(9), 20) with { Forced = _ => throw new FormatException("no") });
        var none = ledger.Submit(Ledger.Continue(Ledger.Prompt(9), 20) with { Mask = _ => new int[Ledger.Ids / 32] });
        var plain = ledger.Submit(Ledger.Continue(Ledger.Prompt(9, 2), 20));
        ledger.Drain();
        foreach (var stream in new[] { thrown, wide, forced, none })
        {
            Assert.Empty(Ledger.Read(stream)[0].Ends);
            await Assert.ThrowsAsync<TesseraException>(() => stream.Events.Completion);
        }
        Assert.Equal(20, Ledger.Read(plain)[0].Ids.Count);
        IsEmpty(ledger);
    }

    [Fact]
    public void Who_decodes_is_not_kept_waiting_by_a_prompt()
    {
        using var ledger = new Ledger(blocks: 400, blocksPerRow: 200, options: new SchedulerOptions { StepMilliseconds = 50 });
        ledger.Cost = (tokens, context) => 5 + tokens + 1e-4 * context;
        ledger.Answer(Ledger.Continue(Ledger.Prompt(300, 5), 20)); // steps are measured
        var decoders = Enumerable.Range(0, 3).Select(i => ledger.Submit(Ledger.Continue(Ledger.Prompt(5, i), 200))).ToList();
        ledger.Scheduler.Step();
        ledger.Submit(Ledger.Continue(Ledger.Prompt(2000, 9), 1));
        double longest = 0;
        long before = ledger.Clock.GetTimestamp();
        while (ledger.Scheduler.Step())
        {
            longest = Math.Max(longest, ledger.Clock.GetElapsedTime(before).TotalMilliseconds);
            before = ledger.Clock.GetTimestamp();
        }
        Assert.InRange(longest, 40, 65);
        Assert.All(decoders, d => Assert.Equal(200, Ledger.Read(d)[0].Ids.Count));
    }

    [Fact]
    public void A_script_says_what_is_answered()
    {
        int[] prompt = [1, 2, 3], answer = [10, 20, 30, 40];
        using var ledger = new Ledger(script: history => history.StartsWith(prompt) ? answer[(history.Length - prompt.Length) % 4] : 5);
        Assert.Equal(answer, ledger.Answer(Ledger.Continue(prompt, 4)).Ids);
        Assert.Equal([5, 5], ledger.Answer(Ledger.Continue([7], 2)).Ids);
    }

    [Fact]
    public void Requests_that_cannot_be_answered_are_refused()
    {
        using var ledger = new Ledger();
        string Message(Request request) => Assert.ThrowsAny<TesseraException>(() => ledger.Submit(request)).Message;
        Assert.Contains("empty", Message(Ledger.Continue([])));
        Assert.Contains("token 128: expected 0 to 127", Message(Ledger.Continue([128])));
        Assert.Contains("the context holds 1024", Message(Ledger.Continue(new int[1024])));
        Assert.Contains("answers 0: expected", Message(Ledger.Continue([1]) with { Answers = 0 }));
        Assert.Contains("top-p must be", Message(Ledger.Continue([1]) with { Sampling = Ledger.Greedy with { TopP = 0 } }));
        Assert.False(ledger.Scheduler.Step());
    }

    [Theory]
    [InlineData(0, 1f, false)]
    [InlineData(1, 1f, false)]
    [InlineData(1, 1.1f, false)]
    [InlineData(0.2f, 1f, true)]
    public void The_loop_allocates_nothing_for_a_token(float temperature, float repetition, bool repeats)
    {
        using var ledger = new Ledger(blocks: 400, blocksPerRow: 60, rows: 8, wanted: repeats ? 16 : 8, script: repeats ? Ledger.Repeating : null);
        for (int i = 0; i < 7; i++) ledger.Submit(Ledger.Continue(Ledger.Prompt(950, i), 1)); // the device has seen every slot
        ledger.Drain();
        var streams = Enumerable.Range(0, 8).Select(i => ledger.Submit(Ledger.Continue(Ledger.Prompt(20, i), 800) with
        {
            Sampling = Ledger.Sampled(temperature, i, repetition: repetition),
        })).ToList();
        void Steps(int count)
        {
            for (int i = 0; i < count; i++)
            {
                ledger.Scheduler.Step();
                foreach (var stream in streams) while (stream.Events.TryRead(out _)) { }
            }
        }
        Steps(200);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Steps(repeats ? 100 : 400);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(repeats, streams.Exists(s => s.Drafts.Accepted > 0));
    }
}
