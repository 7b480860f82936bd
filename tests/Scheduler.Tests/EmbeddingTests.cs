using Tessera.Runtime.Devices.Ledger;
using Tessera.Runtime.Files;
using Tessera.Runtime.Models;
using Tessera.Testing;
using Xunit;

namespace Tessera.Scheduling.Tests;

/// <summary>Embeddings share steps, blocks and order with those that generate, and are what each is alone.</summary>
public class EmbeddingTests
{
    static void IsEmpty(Ledger ledger) => Assert.Equal((0, 0, 0),
        (ledger.Pool.Held, ledger.Scheduler.State.Running.Count, ledger.Scheduler.State.Waiting.Count));

    /// <summary>One end, no token, and a vector that follows from exactly these ids.</summary>
    static void IsRight(RequestStream stream)
    {
        var (ids, ends) = Ledger.Read(stream)[0];
        Assert.Empty(ids);
        Assert.Equal([EndReason.EndOfAnswer], ends);
        Assert.True(stream.Events.Completion.IsCompletedSuccessfully);
        Assert.Equal(Ledger.ExpectedVector(stream.Request.Prompt), stream.Embedding!);
    }

    [Fact]
    public void A_vector_follows_from_exactly_its_text()
    {
        using var ledger = new Ledger();
        foreach (int length in new[] { 1, 15, 16, 17, 37 })
        {
            var stream = ledger.Submit(Request.ForEmbedding(Ledger.Prompt(length)));
            Assert.Equal(1, ledger.Drain());
            IsRight(stream);
            Assert.Equal(1, stream.Embedding!.Sum(x => (double)x * x), 1e-6);
        }
        IsEmpty(ledger);
    }

    [Fact]
    public void Texts_of_odd_lengths_share_a_step()
    {
        using var ledger = new Ledger(rows: 8);
        var streams = new[] { 1, 7, 40, 3, 64, 16, 29, 90 }.Select((n, i) => ledger.Submit(Request.ForEmbedding(Ledger.Prompt(n, i)))).ToList();
        Assert.Equal(1, ledger.Drain());
        Assert.All(streams, IsRight);
        IsEmpty(ledger);
    }

    [Fact]
    public void A_long_text_comes_in_chunks_and_from_what_is_cached()
    {
        using var ledger = new Ledger(blocks: 100, blocksPerRow: 100, tokens: 64);
        int[] text = Ledger.Prompt(1000);
        var first = ledger.Submit(Request.ForEmbedding(text));
        Assert.Equal(16, ledger.Drain());
        IsRight(first);
        var longer = ledger.Submit(Request.ForEmbedding([.. text, .. Ledger.Prompt(20, 9)]));
        Assert.Equal(1, ledger.Drain());
        IsRight(longer);
        Assert.Equal((992, 28), (longer.CachedTokens, longer.ComputedPromptTokens));
        var generated = ledger.Submit(Ledger.Continue(text, 3)); // both ways
        ledger.Drain();
        Assert.Equal((992, 8), (generated.CachedTokens, generated.ComputedPromptTokens));
        Assert.Equal(Ledger.Expected(text, 3), Ledger.Read(generated)[0].Ids);
        var salted = ledger.Submit(Request.ForEmbedding(text) with { Salt = "other" });
        ledger.Drain();
        IsRight(salted);
        Assert.Equal(0, salted.CachedTokens);
    }

    [Fact]
    public void A_text_fills_the_context_and_no_more()
    {
        using var ledger = new Ledger(blocks: 3);
        var whole = ledger.Submit(Request.ForEmbedding(Ledger.Prompt(48)));
        ledger.Drain();
        IsRight(whole);
        Assert.Throws<ContextFullException>(() => ledger.Submit(Request.ForEmbedding(Ledger.Prompt(49))));
        Assert.Throws<ContextFullException>(() => ledger.Submit(Ledger.Continue(Ledger.Prompt(48))));
        Assert.Throws<TesseraException>(() => ledger.Submit(Request.ForEmbedding([])));
        Assert.Throws<TesseraException>(() => ledger.Submit(Request.ForEmbedding([Ledger.Ids])));
        IsEmpty(ledger);
    }

    [Fact]
    public void Texts_and_answers_together_are_each_as_alone()
    {
        using var ledger = new Ledger(blocks: 40, rows: 6, tokens: 32);
        var streams = Enumerable.Range(0, 30).Select(i => ledger.Submit(i % 3 == 0
            ? Ledger.Continue(Ledger.Prompt(5 + 7 * i % 90, i % 4), 20)
            : Request.ForEmbedding(Ledger.Prompt(1 + 11 * i % 130, i % 4)))).ToList();
        ledger.Drain();
        foreach (var stream in streams)
            if (stream.Request.IsEmbedding) IsRight(stream);
            else Assert.Equal(Ledger.Expected(stream.Request.Prompt, 20), Ledger.Read(stream)[0].Ids);
        IsEmpty(ledger);
    }

    [Fact]
    public void Answers_go_on_while_texts_keep_coming_and_the_other_way_round()
    {
        using var ledger = new Ledger(blocks: 64, rows: 4, tokens: 16);
        var answer = ledger.Submit(Ledger.Continue(Ledger.Prompt(5), 100));
        var texts = Enumerable.Range(0, 60).Select(i => ledger.Submit(Request.ForEmbedding(Ledger.Prompt(30, 1 + i)))).ToList();
        ledger.Scheduler.Step();
        for (int i = 0; i < 20; i++) ledger.Scheduler.Step();
        Assert.InRange(texts.Count(t => t.Embedding is not null), 5, 59);
        Assert.InRange(Ledger.Read(answer)[0].Ids.Count, 20, 21); // a token in each step
        ledger.Drain();
        Assert.All(texts, IsRight);
        IsEmpty(ledger);
    }

    [Fact]
    public void One_that_is_cancelled_or_too_late_has_no_vector()
    {
        using var ledger = new Ledger(tokens: 16) { Cost = (_, _) => 10 };
        var cancelled = ledger.Submit(Request.ForEmbedding(Ledger.Prompt(100)));
        var late = ledger.Submit(Request.ForEmbedding(Ledger.Prompt(100, 1)) with { Timeout = TimeSpan.FromMilliseconds(55) });
        var other = ledger.Submit(Request.ForEmbedding(Ledger.Prompt(100, 2)));
        ledger.Scheduler.Step();
        cancelled.Cancel();
        ledger.Drain();
        Assert.Equal([EndReason.Stopped], Ledger.Read(cancelled)[0].Ends);
        Assert.Equal([EndReason.Deadline], Ledger.Read(late)[0].Ends);
        Assert.Null(cancelled.Embedding);
        Assert.Null(late.Embedding);
        IsRight(other);
        IsEmpty(ledger);
    }

    /// <summary>The bits of each alone, whatever shares its steps, in chunks, behind cached beginnings, and beside answers, whose ids stay.</summary>
    [Theory, Trait("set", "all")]
    [InlineData("host", Numerics.Fast)]
    [InlineData("host", Numerics.Exact)]
    [InlineData("lavapipe", Numerics.Fast)]
    public void On_a_model_vectors_have_the_bits_of_each_alone(string device, Numerics numerics)
    {
        using var file = TiledFile.Open(Path.Combine(Repository.Root, "models", "numbers-dense.tessera"));
        using var opened = TestDevices.Open(device);
        using var model = LoadedModel.From(file, opened);
        var config = file.Index.Config;
        Runner Make(int rows) => new(opened, config, model.Weights, numerics, config.Vocabulary,
            new BatchLimits(64, rows, 8 * rows, rows, 8, Edits: 128, RuleSets: rows));
        using Runner one = Make(1), four = Make(4);
        static int[] Text(int i) => [.. Enumerable.Range(0, 1 + i * 19 % 61).Select(t => 5 + (t < 20 ? t * 7 : t * 7 + i) % 500)];
        Request[] requests =
        [
            .. Enumerable.Range(0, 9).Select(i => Request.ForEmbedding(Text(i))), Request.ForEmbedding([.. Text(6), .. Text(3)]),
            .. Enumerable.Range(0, 3).Select(i => Ledger.Continue([.. Text(i), 5], 12)),
        ];
        List<RequestStream> Answer(Runner runner, int stepTokens, params IEnumerable<Request> all)
        {
            using var scheduler = new Scheduler(runner, new SchedulerOptions { StepTokens = stepTokens });
            var streams = all.Select(scheduler.Submit).ToList();
            while (scheduler.Step()) { }
            Assert.Equal(0, scheduler.State.Pool.Held);
            return streams;
        }
        var alone = requests.Select(r => Answer(one, 64, r)[0]).Select(s => (s.Embedding, Ledger.Read(s)[0].Ids)).ToList();
        Assert.Equal(10, alone.Where(a => a.Embedding is not null).Select(a => a.Embedding![0]).Distinct().Count());
        int cached = 0;
        foreach (int stepTokens in new[] { 64, 7, 20 })
        {
            var streams = Answer(four, stepTokens, requests.OrderBy(r => r.Prompt.Length * 31 % 17 + stepTokens % 2 * r.Prompt.Length));
            cached += streams.Sum(s => s.CachedTokens);
            foreach (var stream in streams)
            {
                var expected = alone[Array.IndexOf(requests, stream.Request)];
                Assert.Equal(expected.Embedding, stream.Embedding);
                Assert.Equal(expected.Ids, Ledger.Read(stream)[0].Ids);
            }
        }
        Assert.True(cached > 0);
    }
}
