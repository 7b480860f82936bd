using CsCheck;
using Tessera.Shaders;
using Xunit;

namespace Tessera.Scheduling.Tests;

/// <summary>What a step computes, decided by plain numbers: no device, no clock.</summary>
public class PlannerTests
{
    static readonly Budget wide = new(512, 1e9);

    long arrivals;

    Sequence Make(int prompt, int limit = 512, int priority = 0, int first = 1000, Sequence? leader = null) =>
        new([.. Enumerable.Range(first, prompt)], limit, new Order(priority, arrivals++), null, leader);

    static (Sequence, int)[] Step(State state, Budget budget, StepCost? cost = null, Plan? into = null)
    {
        var plan = into ?? new Plan(state.Rows, 64);
        Planner.Plan(state, budget, cost ?? new StepCost(), plan);
        return plan.Entries.ToArray();
    }

    /// <summary>What a step does to those it computed: those that caught up draw a token.</summary>
    static void Settle(State state, (Sequence Sequence, int Count)[] entries)
    {
        foreach (var (sequence, count) in entries)
        {
            sequence.Advance(count, state.Pool);
            if (sequence.Pending == 0) sequence.Add(7);
        }
    }

    [Fact]
    public void A_prompt_is_cut_by_the_budget_and_a_decoder_goes_on_beside_it()
    {
        var state = new State(100, 4);
        Sequence first = Make(20), second = Make(100, first: 5000);
        state.Enqueue(first);
        Settle(state, Step(state, new Budget(64, 1e9)));
        state.Enqueue(second);
        var counts = new List<(int, int)>();
        for (int i = 0; i < 3; i++)
        {
            var entries = Step(state, new Budget(64, 1e9));
            counts.Add((entries[0].Item2, entries[1].Item2));
            Settle(state, entries);
        }
        Assert.Equal([(1, 63), (1, 37), (1, 1)], counts);
    }

    [Fact]
    public void Milliseconds_bound_a_prompt_only_while_somebody_decodes_and_never_stop_it()
    {
        var cost = new StepCost();
        for (int i = 0; i < 50; i++) cost.Add(1 + i * 10, 0, 1 + i * 10);
        var state = new State(100, 4);
        state.Enqueue(Make(300));
        var alone = Step(state, new Budget(512, 50), cost);
        Assert.Equal(300, alone[0].Item2);
        Settle(state, alone);
        state.Enqueue(Make(300, first: 5000));
        Assert.InRange(Step(state, new Budget(512, 50), cost)[1].Item2, 40, 52);
        Assert.Equal(Planner.MinChunk, Step(state, new Budget(512, 0.1), cost)[1].Item2);
    }

    [Fact]
    public void Who_waits_longest_is_first_and_nobody_passes_one_that_finds_no_room()
    {
        var state = new State(10, 4);
        Sequence running = Make(70), large = Make(100, first: 2000), small = Make(5, first: 3000);
        state.Enqueue(running);
        Settle(state, Step(state, wide));
        state.Enqueue(small);
        state.Enqueue(large); // arrived before the small one
        Assert.Equal([running], Step(state, wide).Select(e => e.Item1));
        state.End(running);
        Assert.Equal([large, small], Step(state, wide).Select(e => e.Item1));
    }

    [Fact]
    public void Where_no_block_is_left_the_last_in_order_is_computed_again_and_nobody_is_let_in()
    {
        var state = new State(4, 4);
        Sequence first = Make(16), second = Make(15, first: 5000), third = Make(3, first: 9000);
        var plan = new Plan(4, 64);
        foreach (var one in new[] { first, second }) state.Enqueue(one);
        while (first.Count < 33 || second.Row >= 0)
        {
            Settle(state, Step(state, wide, into: plan));
            if (plan.Preempted > 0) break;
            Assert.Equal(2, state.Running.Count);
            if (first.Count == 30) state.Enqueue(third);
        }
        Assert.Equal((1, 4), (plan.Preempted, state.Pool.Total));
        Assert.Equal([second, third], state.Waiting);
        Assert.Equal((-1, 0, 0), (second.Row, second.Computed, second.Blocks.Length));
        Assert.True(second.Count > 15); // what it drew stays
        state.End(first);
        var again = Step(state, wide);
        Assert.Equal(second, again[0].Item1);
        Assert.True(second.Computed >= 16); // its first block was cached
    }

    [Fact]
    public void A_prefix_that_is_in_the_cache_is_shared_but_for_the_last_token()
    {
        var state = new State(100, 4);
        Sequence first = Make(64), same = Make(64), longer = Make(70), other = Make(64, first: 1001), salted = new(first.Tokens, 512, new Order(0, 99), "salt");
        state.Enqueue(first);
        var entries = Step(state, wide);
        foreach (var one in new[] { same, longer, other, salted }) state.Enqueue(one);
        Settle(state, entries);
        Assert.Equal([1, 64 - 48, 70 - 64, 64], Step(state, wide).Select(e => e.Item2).Take(4));
        Assert.True(first.Blocks[..3].SequenceEqual(same.Blocks[..3]) && first.Blocks[..4].SequenceEqual(longer.Blocks[..4]));
        Assert.Equal((3, 2), (state.Pool.References(first.Blocks[2]), state.Pool.References(first.Blocks[3])));
        state.End(other);
        Assert.Equal(64, Step(state, wide).Single(e => e.Item1 == salted).Item2);
    }

    [Fact]
    public void Answers_to_one_prompt_wait_for_its_blocks_and_share_them()
    {
        var state = new State(400, 4);
        var first = Make(1000, 1100);
        state.Enqueue(first);
        for (int i = 0; i < 3; i++) state.Enqueue(Make(1000, 1100, leader: first));
        int computed = 0, steps = 0;
        while (state.Running.Sum(s => s.Count - s.PromptCount) < 12 && steps++ < 20)
        {
            var entries = Step(state, wide);
            computed += entries.Sum(e => Math.Min(e.Item2, Math.Max(0, e.Item1.PromptCount - e.Item1.Computed)));
            Settle(state, entries);
        }
        Assert.InRange(computed, 1000, 1064);
        Assert.Equal(62 + 4, state.Pool.Held); // 1000 tokens are 62 full blocks and a part of one
    }

    [Fact]
    public void Priority_is_worth_a_time_of_waiting()
    {
        var period = TimeSpan.FromSeconds(10);
        long second = TimeSpan.TicksPerSecond;
        Order plain = Order.Of(0, 100 * second, period, 1);
        Assert.True(Order.Of(0, 100 * second, period, 2).CompareTo(plain) > 0);
        Assert.True(Order.Of(1, 91 * second, period, 0).CompareTo(plain) > 0);
        Assert.True(Order.Of(1, 89 * second, period, 0).CompareTo(plain) < 0); // it waited for more than its priority is worth
        Assert.True(Order.Of(-1, 109 * second, period, 3).CompareTo(plain) < 0);
    }

    [Fact]
    public void Prompts_that_cannot_be_answered_are_refused()
    {
        Assert.Equal(64, Admission.Context(4, 100));
        Assert.Equal(32, Admission.Context(4, 2));
        Assert.Contains("empty", Assert.Throws<TesseraException>(() => Admission.Check([], 100, 64, false)).Message);
        Assert.Contains("the context holds 64", Assert.Throws<ContextFullException>(() => Admission.Check(new int[64], 100, 64, false)).Message);
        Assert.Contains("token 100: expected 0 to 99", Assert.Throws<TesseraException>(() => Admission.Check([1, 100], 100, 64, false)).Message);
        Admission.Check(new int[63], 100, 64, false);
        Admission.Check(new int[64], 100, 64, isEmbedding: true); // nothing comes behind it
        Assert.Contains("the context holds 64;", Assert.Throws<ContextFullException>(() => Admission.Check(new int[65], 100, 64, true)).Message);
    }

    /// <summary>Any arrivals, lengths, ends and budgets: what is planned is within the budget, blocks belong to who has them, and everybody ends.</summary>
    [Fact]
    public void Any_schedule_keeps_its_books() =>
        Gen.Select(Gen.Int[2, 12], Gen.Int[1, 4], Gen.Int[4, 40], Gen.Select(Gen.Int[1, 60], Gen.Int[1, 40], Gen.Int[-2, 2], Gen.Int[0, 9]).Array[1, 12])
            .Sample((blocks, rows, tokens, asks) =>
            {
                var state = new State(blocks, rows);
                var plan = new Plan(rows, blocks);
                int context = Admission.Context(blocks, blocks), next = 0, steps = 0;
                var all = new List<Sequence>();
                while (next < asks.Length || all.Exists(s => !s.Ended))
                {
                    Assert.True(++steps < 5000);
                    for (; next < asks.Length && asks[next].Item4 + next * 3 <= steps; next++)
                    {
                        var (prompt, answer, priority, _) = asks[next];
                        prompt = Math.Min(prompt, context - 1);
                        all.Add(new Sequence([.. Enumerable.Range(next % 3 * 7, prompt)], Math.Min(context, prompt + answer), new Order(priority, next)));
                        state.Enqueue(all[^1]);
                    }
                    Planner.Plan(state, new Budget(Math.Max(tokens, rows), 1e9), new StepCost(), plan);
                    Assert.True(plan.Tokens <= Math.Max(tokens, rows));
                    Assert.True(plan.Entries.Length > 0 || all.TrueForAll(s => s.Ended));
                    Assert.True(plan.Preempted == 0 || plan.Entries.ToArray().All(e => state.Running.Contains(e.Sequence)));
                    foreach (var (sequence, count) in plan.Entries)
                    {
                        Assert.InRange(count, 1, sequence.Pending);
                        Assert.True(sequence.Row >= 0 && sequence.Lacking <= 0);
                    }
                    Settle(state, plan.Entries.ToArray());
                    foreach (var done in state.Running.Where(s => s.Count == s.Limit).ToList()) state.End(done);
                    var byBlock = state.Running.SelectMany(s => s.Blocks.ToArray()).CountBy(b => b).ToDictionary();
                    for (int b = 0; b < blocks; b++) Assert.Equal(byBlock.GetValueOrDefault(b), state.Pool.References(b));
                    Assert.Equal(blocks, state.Pool.Free + state.Pool.Cached + state.Pool.Held);
                    Assert.Equal(rows, state.FreeRows + state.Running.Count);
                }
                Assert.Equal(0, state.Pool.Held);
            }, iter: 2000, seed: "0N0XIzNsQ0O2", threads: 1);
}
