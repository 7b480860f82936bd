using Tessera.Runtime.Devices.Ledger;
using Tessera.Shaders;
using Xunit;

namespace Tessera.Scheduling.Tests;

/// <summary>Guesses of what follows: the same ids in fewer steps, and no guess where it does not pay.</summary>
public class DraftTests
{
    const int Period = 10;

    static readonly int[] prompt = [.. Ledger.Prompt(Period), .. Ledger.Prompt(Period), 3];

    /// <summary>The ten ids of the prompt again and again.</summary>
    static int Round(ReadOnlySpan<int> history) => history[^Period] < 0 ? 127 : history.Length % Period == 0 ? Ledger.Prompt(Period)[0] : history[^Period];

    static Ledger Make(Script? script, int rows = 1, int wanted = 16, int blocks = 64, int tokens = 512) =>
        new(blocks, rows, 64, tokens, script: script, wanted: wanted) { Cost = (count, context) => 10 + (count > 1 ? 3 : 0) + 0.2 * count + 1e-4 * context };

    static (List<int> Ids, List<EndReason> Ends, RequestStream Stream, int Steps) Run(Request request, Script? script, int wanted = 16)
    {
        using var ledger = Make(script, wanted: wanted);
        var stream = ledger.Submit(request);
        int steps = ledger.Drain();
        Assert.Equal(0, ledger.Pool.Held);
        var (ids, ends) = Ledger.Read(stream)[0];
        return (ids, ends, stream, steps);
    }

    [Fact]
    public void A_text_that_repeats_itself_takes_fewer_steps_and_has_the_same_ids()
    {
        var (ids, ends, stream, steps) = Run(Ledger.Continue(prompt, 200), Round);
        Assert.Equal(Ledger.Expected(prompt, 200, Round), ids);
        Assert.Equal([EndReason.MaxTokens], ends);
        Assert.InRange(steps, 200 / 16, 200 / 6);
        Assert.InRange(stream.Drafts.Accepted, 200 - 1 - steps, 200);
        Assert.True(stream.Drafts.Tokens >= stream.Drafts.Accepted);
    }

    [Fact]
    public void Without_rows_of_logits_to_spare_nothing_is_guessed()
    {
        var (_, _, stream, steps) = Run(Ledger.Continue(prompt, 200), Round, wanted: 1);
        Assert.Equal((200, (0, 0)), (steps, stream.Drafts));
    }

    [Theory]
    [InlineData(0, 0.2)]
    [InlineData(0, 3)]
    [InlineData(15, 1)]
    [InlineData(40, 0.1)]
    public void Where_guesses_are_wrong_little_time_is_lost(double second, double row)
    {
        // One id in three is new: pairs repeat, and what follows them never does.
        static int Script(ReadOnlySpan<int> history) => (history.Length % 3) switch { 0 => 1, 1 => 2, _ => 3 + LedgerDevice.Next(history, 120) };
        double Time(int wanted, out RequestStream stream)
        {
            using var ledger = Make(Script, wanted: wanted);
            ledger.Cost = (count, _) => 20 + (count > 1 ? second : 0) + row * count;
            long start = ledger.Clock.GetTimestamp();
            stream = ledger.Submit(Ledger.Continue(Ledger.Prompt(6), 900));
            ledger.Drain();
            Assert.Equal(Ledger.Expected(Ledger.Prompt(6), 900, Script), Ledger.Read(stream)[0].Ids);
            return ledger.Clock.GetElapsedTime(start).TotalMilliseconds;
        }
        double without = Time(1, out _), with = Time(16, out var stream);
        Assert.True(stream.Drafts.Tokens > 0);
        Assert.InRange(with, 0, without * 1.02);
    }

    [Fact]
    public void Nothing_comes_out_behind_an_end()
    {
        int[] expected = Ledger.Expected(prompt, 60, Round);
        for (int max = 1; max <= 50; max++)
        {
            var (ids, ends, _, _) = Run(Ledger.Continue(prompt, max), Round);
            Assert.Equal(expected[..max], ids);
            Assert.Equal([EndReason.MaxTokens], ends);
        }
        for (int at = 30; at < 50; at++) // the script ends the answer where the text would go on
        {
            int length = prompt.Length + at;
            int Script(ReadOnlySpan<int> history) => history.Length == length ? 126 : Round(history);
            var (ids, ends, stream, _) = Run(Ledger.Continue(prompt, 100) with { EndIds = [126] }, Script);
            Assert.Equal(expected[..at], ids);
            Assert.Equal([EndReason.EndOfAnswer], ends);
            Assert.True(stream.Drafts.Accepted > 0);
        }
    }

    [Fact]
    public void A_context_that_is_full_ends_an_answer_in_the_middle_of_a_draft()
    {
        using var ledger = Make(Round, blocks: 5);
        var stream = ledger.Submit(Ledger.Continue(prompt, 0));
        ledger.Drain();
        var (ids, ends) = Ledger.Read(stream)[0];
        Assert.Equal(Ledger.Expected(prompt, 5 * KvBlock.Tokens - prompt.Length + 1, Round), ids);
        Assert.Equal([EndReason.ContextFull], ends);
        Assert.True(stream.Drafts.Accepted > 0);
        Assert.Equal(0, ledger.Pool.Held);
    }

    [Theory]
    [InlineData(0.2f)]
    [InlineData(0.6f)]
    [InlineData(1.5f)]
    public void A_seed_draws_the_same_with_guesses_and_without(float temperature)
    {
        int accepted = 0;
        for (int seed = 0; seed < 20; seed++)
        {
            var request = Ledger.Continue(prompt, 150) with { Sampling = Ledger.Sampled(temperature, seed) };
            var (ids, _, stream, _) = Run(request, Ledger.Repeating);
            Assert.Equal(Run(request, Ledger.Repeating, wanted: 1).Ids, ids);
            accepted += stream.Drafts.Accepted;
        }
        Assert.True(accepted > 0);
    }

    [Fact]
    public void Tokens_that_are_forced_break_in_on_a_draft()
    {
        for (int at = 20; at < 40; at++)
        {
            int[] forced = [.. Enumerable.Range(90, 5)];
            ReadOnlySpan<int> Force(ReadOnlySpan<int> generated) => generated.Length == at ? forced : default;
            var request = Ledger.Continue(prompt, 80) with { Forced = Force };
            var (ids, _, stream, _) = Run(request, Round);
            Assert.Equal(Run(request, Round, wanted: 1).Ids, ids);
            Assert.Equal(forced, ids[at..(at + 5)]);
            Assert.True(stream.Drafts.Accepted > 0);
        }
    }

    [Fact]
    public void Rules_that_change_with_every_token_leave_nothing_to_guess_and_biases_do_not()
    {
        int[] all = [.. Enumerable.Repeat(-1, Ledger.Ids / 32)];
        var request = Ledger.Continue(prompt, 100);
        var biased = request with { Biases = new Dictionary<int, float> { [5] = 1, [prompt[4]] = -100 } };
        Assert.Equal((0, 0), Run(request with { Mask = _ => all }, Round).Stream.Drafts);
        Assert.Equal((0, 0), Run(request with { Sampling = Ledger.Sampled(0, repetition: 1.01f) }, Round).Stream.Drafts);
        Assert.Equal((0, 0), Run(request with { Sampling = Ledger.Sampled(0, presence: 0.1f) }, Round).Stream.Drafts);
        var (ids, _, stream, _) = Run(biased, Round);
        Assert.Equal(Run(biased, Round, wanted: 1).Ids, ids);
        Assert.True(stream.Drafts.Accepted > 0);
    }

    [Fact]
    public void What_was_guessed_wrong_is_in_no_prefix()
    {
        using var ledger = Make(Ledger.Repeating, rows: 2, wanted: 32);
        for (int i = 0; i < 20; i++)
        {
            int[] first = Ledger.Prompt(20 + i, i);
            var stream = ledger.Submit(Ledger.Continue(first, 100));
            ledger.Drain();
            int[] ids = [.. Ledger.Read(stream)[0].Ids];
            Assert.Equal(Ledger.Expected(first, 100, Ledger.Repeating), ids);
            Assert.True(stream.Drafts.Tokens > stream.Drafts.Accepted && stream.Drafts.Accepted > 0);
            int[] longer = [.. first, .. ids, 7];
            var next = ledger.Submit(Ledger.Continue(longer, 20));
            ledger.Drain();
            Assert.Equal(Ledger.Expected(longer, 20, Ledger.Repeating), Ledger.Read(next)[0].Ids);
            Assert.Equal((first.Length + 99) / 16 * 16, next.CachedTokens);
        }
    }

    static StepCost Learned(Func<int, double> truth)
    {
        var cost = new StepCost();
        for (int i = 0; i < 300; i++) cost.Add(i % 3 == 0 ? 1 : 1 + i % 40, 0, truth(i % 3 == 0 ? 1 : 1 + i % 40));
        return cost;
    }

    /// <summary>Sequences that decode a text that repeats itself, and the step that is planned for them.</summary>
    static Plan Plan(int sequences, StepCost cost, Budget budget, int wanted = 512, int blocks = 4000)
    {
        var state = new State(blocks, sequences);
        var plan = new Plan(sequences, 64);
        for (int i = 0; i < sequences; i++) state.Enqueue(new Sequence(prompt.AsSpan(0, 2 * Period), 512, new Order(0, i), $"{i}"));
        while (state.Running.Count < sequences || state.Running.Exists(s => s.Pending > 0))
        {
            Planner.Plan(state, new Budget(512, 1e9), new StepCost(), plan);
            foreach (var (sequence, count) in plan.Entries) sequence.Advance(count, state.Pool);
        }
        foreach (var sequence in state.Running) sequence.Add(Round(sequence.Tokens));
        Planner.Plan(state, budget, cost, plan);
        Drafts.Add(state, budget, cost, plan, wanted);
        return plan;
    }

    [Fact]
    public void The_estimate_decides()
    {
        Budget wide = new(512, 1e9);
        StepCost memoryBound = Learned(tokens => 20 + 0.1 * tokens), computeBound = Learned(tokens => 0.1 + tokens);
        var twoCostThrice = Learned(tokens => tokens > 1 ? 60 : 20);
        Assert.Equal(1 + Drafts.MaxTokens, Plan(1, memoryBound, wide).Tokens);
        Assert.Equal(1, Plan(1, computeBound, wide).Tokens);
        Assert.Equal(1, Plan(1, new StepCost(), wide).Tokens);      // nothing is known
        Assert.Equal(1 + Drafts.MaxTokens, Plan(1, twoCostThrice, wide).Tokens); // all of it pays, one row more does not
        Assert.InRange(Plan(8, memoryBound, wide).Tokens, 60, 8 * 16);
        Assert.InRange(Plan(200, memoryBound, wide).Tokens, 200, 512);
        Assert.Equal(200, Plan(200, Learned(tokens => 2 + tokens), wide).Tokens);
    }

    [Fact]
    public void What_a_step_may_take_bounds_it()
    {
        var cost = Learned(tokens => 20 + 0.1 * tokens);
        Assert.Equal(30, Plan(8, cost, new Budget(30, 1e9)).Tokens);
        Assert.Equal(30, Plan(8, cost, new Budget(512, 1e9), wanted: 30).Tokens);
        Assert.InRange(Plan(8, cost, new Budget(512, 22)).Tokens, 18, 20);
        Assert.Equal(8, Plan(8, cost, new Budget(512, 10)).Tokens);
        Assert.Equal(16, Plan(1, cost, new Budget(512, 10)).Tokens); // nobody else waits for it
        Assert.Equal(8, Plan(8, cost, new Budget(512, 1e9), wanted: 8).Tokens);
        var plan = Plan(2, cost, new Budget(512, 1e9), blocks: 5);   // two blocks each, and one that stays
        Assert.All(plan.Entries.ToArray(), e => Assert.Equal((1 + 32 - 21, 2), (e.Count, e.Sequence.Blocks.Length)));
        Assert.Equal(2 * StepCost.Seen(20, 12), plan.Context);
    }
}
