using System.Diagnostics;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Scheduling.Tests;

/// <summary>Alone in the process, whose memory is looked at.</summary>
[CollectionDefinition(nameof(SoakTests), DisableParallelization = true)]
public class AloneCollection;

/// <summary>Much at once for a long while, on models that compute.</summary>
[Collection(nameof(SoakTests)), Trait("set", "all")]
public class SoakTests
{
    [Fact]
    public async Task Two_thousand_requests_in_a_pool_too_small_end_and_leave_nothing()
    {
        const int Requests = 2000, AtOnce = 24;
        using var golden = new GoldenModel("numbers-moe", DType.Q8);
        using var engine = Engine.Load(golden.FilePath, new EngineOptions { Device = "host", Context = 256, CacheTokens = 320, Sequences = 12 });
        int ended = 0, cancelled = 0, firstTenth = 0;
        long early = 0;
        await Parallel.ForAsync(0, Requests, new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (i, _) =>
        {
            var random = new Random(i);
            int[] prompt = [.. Enumerable.Range(0, random.Next(1, 70)).Select(t => 5 + (t * 7 + i % 5) % 500)];
            var options = new GenerationOptions
            {
                MaxTokens = random.Next(1, 50), Priority = random.Next(3),
                Sampling = new SamplingOptions { Temperature = i % 4 == 0 ? 0 : 1, Seed = i, RepetitionPenalty = i % 3 == 0 ? 1.1f : 1 },
            };
            using var stop = new CancellationTokenSource();
            int leaveAfter = i % 7 == 0 ? random.Next(4) : int.MaxValue, tokens = 0;
            if (leaveAfter == 0) stop.Cancel();
            await foreach (var token in engine.GenerateIds(prompt, options, stop.Token))
            {
                if (token.Report is { } report)
                {
                    Interlocked.Increment(ref ended);
                    if (report.End == EndReason.Stopped) Interlocked.Increment(ref cancelled);
                    Assert.Equal(report.Tokens, tokens);
                }
                else if (++tokens == leaveAfter) stop.Cancel();
            }
            if (Interlocked.Increment(ref firstTenth) == Requests / 10) early = WorkingSet();
        }).WaitAsync(TimeSpan.FromMinutes(5));
        Assert.Equal(Requests, ended);
        Assert.InRange(cancelled, 100, Requests / 7 + 1);
        Assert.Equal((0, 0, 0), engine.Scheduler.BetweenSteps(() =>
            (engine.Scheduler.State.Pool.Held, engine.Scheduler.State.Running.Count, engine.Scheduler.State.Waiting.Count)));
        Assert.True(engine.Scheduler.Preemptions > 0, "nobody was put out: the pool is not too small");
        Assert.True(WorkingSet() <= 1.05 * early, $"working set: {early >> 10} KiB after a tenth, {WorkingSet() >> 10} KiB at the end");
    }

    static long WorkingSet()
    {
        GC.Collect();
        using var process = Process.GetCurrentProcess();
        return process.WorkingSet64;
    }

    [Theory, InlineData("numbers-dense"), InlineData("numbers-moe")]
    public async Task All_questions_asked_by_sixteen_at_once_get_the_answers_of_one_by_one(string name)
    {
        using var golden = new GoldenModel(name, DType.Q8);
        using var engine = Engine.Load(golden.FilePath, new EngineOptions { Device = "host", Context = 512 });
        var clock = Stopwatch.StartNew();
        var alone = await TrainedModel.Answers(engine, atOnce: 1);
        var (one, eight, sixteen) = (clock.Elapsed, TimeSpan.Zero, TimeSpan.Zero);
        clock.Restart();
        var together = await TrainedModel.Answers(engine, atOnce: 8);
        eight = clock.Elapsed;
        Assert.Equal(alone, together);
        clock.Restart();
        Assert.Equal(alone, await TrainedModel.Answers(engine, atOnce: 16));
        sixteen = clock.Elapsed;
        TestContext.Current.SendDiagnosticMessage(
            $"{name}: {alone.Length} questions one by one in {one.TotalSeconds:F2} s, 8 at once {one / eight:F2}x as many a second, "
            + $"16 at once {one / sixteen:F2}x");
    }
}
