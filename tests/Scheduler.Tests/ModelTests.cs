using System.Text.Json;
using Tessera.Runtime.Files;
using Tessera.Runtime.Models;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Scheduling.Tests;

/// <summary>The loop on a model that computes: ids as the request alone.</summary>
public class ModelTests
{
    static readonly string path = Path.Combine(Repository.Root, "models", "numbers-dense.tessera");

    static readonly SamplingOptions[] samplings =
    [
        Ledger.Greedy, Ledger.Sampled(0.8f, 3), Ledger.Sampled(1, 4), Ledger.Sampled(0.7f, 5, presence: 0.5f, repetition: 1.1f),
    ];

    [Fact]
    public void Random_schedules_on_the_host_give_the_ids_and_logits_of_each_request_alone() => Run("host", schedules: 6);

    [Theory, Trait("set", "all")]
    [InlineData("host", 200)]
    [InlineData("lavapipe", 5)]
    public void Many_random_schedules_give_the_ids_and_logits_of_each_request_alone(string device, int schedules) => Run(device, schedules);

    [Theory, InlineData("host"), InlineData("lavapipe")]
    public void Decoding_allocates_nothing(string device)
    {
        using var file = TiledFile.Open(path);
        using var opened = TestDevices.Open(device);
        using var model = LoadedModel.From(file, opened);
        var config = file.Index.Config;
        foreach (var sampling in new[] { Ledger.Greedy, Ledger.Sampled(0.6f), Ledger.Sampled(0.6f, topK: 0), Ledger.Sampled(0, repetition: 1.01f) })
        {
            long least = long.MaxValue;
            for (int attempt = 0; attempt < 3 && least != 0; attempt++) // the runtime may compile meanwhile
            {
                // One row of logits: a first guess of a size would record a step.
                using var runner = new Runner(opened, config, model.Weights, Numerics.Fast, config.Vocabulary, new BatchLimits(64, 1, 32, 1, 32, 512, 1));
                using var scheduler = new Scheduler(runner);
                var stream = scheduler.Submit(new Request { Prompt = [5, 6, 7, 8], Sampling = sampling });
                void Steps(int count)
                {
                    for (int i = 0; i < count; i++)
                    {
                        Assert.True(scheduler.Step());
                        while (stream.Events.TryRead(out _)) { }
                    }
                }
                Steps(40);
                long before = GC.GetAllocatedBytesForCurrentThread();
                Steps(100);
                least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
            }
            Assert.Equal(0, least);
        }
    }

    static void Run(string device, int schedules)
    {
        using var file = TiledFile.Open(path);
        using var opened = TestDevices.Open(device);
        using var model = LoadedModel.From(file, opened);
        var config = file.Index.Config;
        Runner Make(int blocks, int rows, int wanted) => new(opened, config, model.Weights, Numerics.Fast, config.Vocabulary,
            new BatchLimits(64, wanted, blocks, rows, 8, Edits: 128, RuleSets: rows));
        using Runner wide = Make(8, 1, wanted: 1), narrow = Make(8, 3, wanted: 16); // the same context; nothing is guessed in the first
        var random = new Random(7);
        int preempted = 0, cached = 0, drafted = 0, accepted = 0;
        for (int schedule = 0; schedule < schedules; schedule++)
        {
            using var scheduler = new Scheduler(narrow, new SchedulerOptions { StepTokens = random.Next(3, 64) }, new EqualSteps());
            var requests = Enumerable.Range(0, 7).Select(i => new Request
            {
                Prompt = [.. Enumerable.Range(0, random.Next(1, 60)).Select(t => 5 + (t < 40 ? t * 7 : t * 7 + i) % 500)],
                Sampling = samplings[(i + schedule) % 4], MaxTokens = random.Next(1, 40),
            }).ToList();
            var streams = new List<RequestStream>();
            while (streams.Count < requests.Count || scheduler.Step())
                if (streams.Count < requests.Count)
                {
                    streams.Add(scheduler.Submit(requests[streams.Count]));
                    for (int steps = random.Next(0, 6); steps > 0; steps--) scheduler.Step();
                }
            (preempted, cached) = (preempted + scheduler.Preemptions, cached + streams.Sum(s => s.CachedTokens));
            (drafted, accepted) = (drafted + streams.Sum(s => s.Drafts.Tokens), accepted + streams.Sum(s => s.Drafts.Accepted));
            Assert.Equal(0, scheduler.State.Pool.Held);
            foreach (var stream in streams)
            {
                using var alone = new Scheduler(wide);
                var one = alone.Submit(stream.Request);
                while (alone.Step()) { }
                Assert.Equal(Ledger.Read(one)[0].Ids, Ledger.Read(stream)[0].Ids);
                Assert.Equal(one.Answers[0].LogitsHash, stream.Answers[0].LogitsHash); // of the logits that every token was drawn from
            }
        }
        Assert.True(preempted > 0 && cached > 0 && accepted > 0 && drafted > accepted,
            $"{preempted} preempted, {cached} tokens cached, {accepted} of {drafted} guesses right: the schedules try too little");
    }

    /// <summary>A conversation that had the question and its answer already.</summary>
    [Fact]
    public void What_is_copied_out_of_the_prompt_takes_fewer_steps_and_has_the_same_ids_and_logits()
    {
        using var file = TiledFile.Open(path);
        using var opened = TestDevices.Open("host");
        using var model = LoadedModel.From(file, opened);
        var config = file.Index.Config;
        using var conversations = JsonDocument.Parse(File.ReadAllText(Repository.Golden("models/numbers-dense/chat.json")));
        int before = 0, after = 0;
        foreach (var one in conversations.RootElement.EnumerateArray())
        {
            int[] Ids(string name) => [.. one.GetProperty(name).EnumerateArray().Select(i => i.GetInt32())];
            int[] question = Ids("prompt_ids"), answer = Ids("ids");
            var request = new Request { Prompt = [.. question, .. answer, .. question], Sampling = Ledger.Greedy, MaxTokens = 60, EndIds = [answer[^1]] };
            (List<int> Ids, float[] Logits, int Steps, int Accepted) Run(int wanted)
            {
                int blocks = request.Prompt.Length / KvBlock.Tokens + 5;
                using var runner = new Runner(opened, config, model.Weights, Numerics.Fast, config.Vocabulary, new BatchLimits(256, wanted, blocks, 1, blocks,
                    Edits: blocks * KvBlock.Tokens, RuleSets: 1));
                using var scheduler = new Scheduler(runner, clock: new EqualSteps());
                var stream = scheduler.Submit(request);
                int steps = 0;
                Answer? drawn = null;
                for (; scheduler.Step(); steps++) drawn = stream.Answers[0];
                var logits = new float[config.Vocabulary];
                runner.ReadLogits(drawn!.Wanted, logits);        // which the last token, or the end, was drawn from
                return (Ledger.Read(stream)[0].Ids, logits, steps, stream.Drafts.Accepted);
            }
            var (without, with) = (Run(1), Run(16));
            Assert.Equal(without.Ids, with.Ids);
            Assert.Equal(without.Logits, with.Logits);
            Assert.Equal(0, without.Accepted);
            (before, after) = (before + without.Steps, after + with.Steps);
        }
        Assert.InRange(after, 1, before / 2);
    }

    /// <summary>A clock by which every step takes as long, so that guesses pay, always and everywhere.</summary>
    sealed class EqualSteps : TimeProvider
    {
        long now;

        public override long GetTimestamp() => now += TimestampFrequency / 1000;
    }
}
