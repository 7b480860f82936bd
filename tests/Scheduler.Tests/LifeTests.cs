using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Scheduling.Tests;

/// <summary>How calls end: cancelled, left, thrown out of, disposed, each with a defined outcome, and the engine as it was.</summary>
public sealed class LifeTests : IDisposable
{
    /// <summary>Only so that a test that would hang ends.</summary>
    static readonly TimeSpan patience = TimeSpan.FromSeconds(60);

    static readonly string path = Path.Combine(Repository.Root, "models", "numbers-dense.tessera");
    static readonly GenerationOptions greedy = new() { Sampling = SamplingOptions.Greedy, Thinking = false };
    static readonly GenerationOptions endless = new() { Sampling = new SamplingOptions { Temperature = 100, TopK = 0, TopP = 1, MinP = 0, Seed = 1 } };

    readonly Engine engine = Engine.Load(path, new EngineOptions { Device = "host", Context = 2048 });

    public void Dispose() => engine.Dispose();

    /// <summary>That it answers, and that nobody has a block.</summary>
    async Task IsWell(Engine? other = null)
    {
        other ??= engine;
        Assert.Equal("vingt-trois", (await TrainedModel.Collect(other.Generate("Write 23 in French.", greedy)).WaitAsync(patience)).Answer);
        Assert.True(SpinWait.SpinUntil(() => other.Scheduler.BetweenSteps(() => other.Scheduler.State.Pool.Held) == 0, patience));
    }

    [Fact]
    public async Task Cancelling_while_it_is_generated_ends_an_answer_with_a_report()
    {
        using var stop = new CancellationTokenSource();
        var updates = new List<GenerationUpdate>();
        await foreach (var update in engine.Generate("Write 9999 in English.", endless, stop.Token))
        {
            updates.Add(update);
            if (updates.Count == 3) stop.Cancel();
        }
        Assert.True(updates[^1].Report is { End: EndReason.Stopped, Tokens: > 0 });
        await IsWell();
    }

    [Fact]
    public async Task Cancelling_before_it_began_or_in_its_prompt_ends_it_without_a_token()
    {
        int[] prompt = [.. Enumerable.Range(0, 1800).Select(i => 5 + i * 7 % 2000)];
        var (ids, report) = await TrainedModel.Collect(engine.GenerateIds(prompt, endless, new CancellationToken(canceled: true))).WaitAsync(patience);
        Assert.Equal((0, EndReason.Stopped, 0u, 1800), (ids.Length, report.End, report.LogitsHash, report.PromptTokens));
        for (int milliseconds = 0; milliseconds < 30; milliseconds += 10)
        {
            using var stop = new CancellationTokenSource(milliseconds);
            Assert.Equal(EndReason.Stopped, (await TrainedModel.Collect(engine.GenerateIds(prompt, endless, stop.Token)).WaitAsync(patience)).Report.End);
        }
        await IsWell();
    }

    [Fact]
    public async Task Cancelling_one_that_waits_touches_no_other()
    {
        using var one = Engine.Load(path, new EngineOptions { Device = "host", Sequences = 1, MaxQueued = 2 });
        using CancellationTokenSource stop = new(), running = new();
        var first = TrainedModel.Collect(one.GenerateIds([5, 6, 7], endless, running.Token));
        while (one.Scheduler.BetweenSteps(() => one.Scheduler.State.Running.Count) == 0) await Task.Yield();
        Task<(int[] Ids, GenerationReport Report)> second = TrainedModel.Collect(one.GenerateIds([5, 6, 7], endless, stop.Token)),
            third = TrainedModel.Collect(one.GenerateIds([5, 6, 7], endless with { MaxTokens = 4 }));
        Assert.Contains("2 requests wait already", (await Assert.ThrowsAsync<QueueFullException>(() =>
            TrainedModel.Collect(one.GenerateIds([5, 6, 7], endless)))).Message);
        stop.Cancel();
        Assert.Equal((EndReason.Stopped, 0), ((await second.WaitAsync(patience)).Report.End, (await second).Ids.Length));
        Assert.False(first.IsCompleted || third.IsCompleted);
        running.Cancel();
        Assert.Equal(EndReason.Stopped, (await first.WaitAsync(patience)).Report.End);
        Assert.Equal((await first).Ids[..4], (await third.WaitAsync(patience)).Ids);
        await IsWell(one);
    }

    [Fact]
    public async Task Leaving_and_throwing_end_an_answer()
    {
        await foreach (var _ in engine.Generate("Write 9999 in English.", endless)) break;
        await IsWell();
        await Assert.ThrowsAsync<InvalidTimeZoneException>(async () =>
        {
            await foreach (var _ in engine.Generate("Write 9999 in English.", endless)) throw new InvalidTimeZoneException();
        });
        await IsWell();
    }

    [Fact]
    public async Task Each_enumeration_is_a_request_of_its_own()
    {
        var answer = engine.Generate("Write 4217 in French.", greedy);
        var both = await Task.WhenAll(TrainedModel.Collect(answer), TrainedModel.Collect(answer)).WaitAsync(patience);
        Assert.Equal(["quatre mille deux cent dix-sept", "quatre mille deux cent dix-sept"], both.Select(b => b.Answer));
        _ = engine.Generate("Write 4217 in French.", endless); // never enumerated: never asked for
        await IsWell();
    }

    [Fact]
    public async Task Disposing_ends_all_calls_with_one_exception_in_bounded_time()
    {
        var many = Engine.Load(path, new EngineOptions { Device = "host", Sequences = 8, MaxQueued = 300 });
        var calls = Enumerable.Range(0, 200).Select(i => TrainedModel.Collect(many.GenerateIds([5, 6, 7 + i], endless))).ToList();
        await Task.Run(() => Parallel.Invoke(many.Dispose, many.Dispose)).WaitAsync(patience);
        many.Dispose();
        foreach (var call in calls) await Assert.ThrowsAsync<ObjectDisposedException>(() => call.WaitAsync(patience));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => TrainedModel.Collect(many.Generate("late", greedy)));
        Assert.Throws<ObjectDisposedException>(() => many.MeasureBandwidth());
        Assert.Equal(("numbers-dense", "host"), (many.Info.Name, many.DeviceName)); // what it was can still be asked
        Assert.True(many.Tokenizer!.Encode("still", added: false).Length > 0);
    }

    [Fact]
    public async Task Disposing_inside_the_enumeration_and_with_an_open_enumerator_ends_both()
    {
        var inside = Engine.Load(path, new EngineOptions { Device = "host" });
        await Assert.ThrowsAsync<ObjectDisposedException>(async () =>
        {
            await foreach (var _ in inside.Generate("Write 9999 in English.", endless)) inside.Dispose();
        }).WaitAsync(patience);
        var open = Engine.Load(path, new EngineOptions { Device = "host" });
        var enumerator = open.Generate("Write 9999 in English.", endless).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        Assert.True(await enumerator.MoveNextAsync());
        await Task.Run(open.Dispose).WaitAsync(patience);
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => { while (await enumerator.MoveNextAsync()) { } }).WaitAsync(patience);
        await enumerator.DisposeAsync();
    }

    [Fact]
    public async Task A_mask_that_throws_or_disposes_ends_its_own_request()
    {
        var thrown = await Assert.ThrowsAsync<TesseraException>(() =>
            TrainedModel.Collect(engine.GenerateIds([5], greedy with { Mask = _ => throw new InvalidTimeZoneException("of mine") })));
        Assert.Contains("of mine", thrown.Message);
        await Assert.ThrowsAsync<TesseraException>(() => TrainedModel.Collect(engine.GenerateIds([5], greedy with
        {
            Mask = _ =>
            {
                engine.Dispose();
                return default;
            },
        })));
        await IsWell();
    }

    [Fact]
    public void A_model_has_one_runner_at_a_time_and_stays_until_it_is_gone()
    {
        var model = Model.Load(path, new ModelOptions { Device = "host", Context = 64 });
        var runner = model.OpenRunner();
        Assert.Contains("expected no runner, found one that is in use", Assert.Throws<TesseraException>(model.OpenRunner).Message);
        runner.Dispose();
        runner = model.OpenRunner();
        model.Dispose();
        model.Dispose();
        Assert.Throws<ObjectDisposedException>(model.OpenRunner);
        runner.Cache.Set(0, 0, 0);
        runner.Batch.Add(5, 0, 0, wanted: true);
        runner.Run(); // the weights are still there
        Assert.True(runner.Candidates(0).Count > 0);
        runner.Dispose();
    }

    /// <summary>What needs no device but the host's: the weights' type is the file's.</summary>
    [Fact]
    public void Bandwidth_is_measured_between_steps() => Assert.True(engine is { WeightType: DType.Q8 } && engine.MeasureBandwidth() > 0);
}
