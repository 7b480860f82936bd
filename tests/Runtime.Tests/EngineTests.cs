using Tessera.Runtime.Models;
using Tessera.Runtime.Sampling;
using Tessera.Runtime.Tests.Models;
using Tessera.Runtime.Tokens;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Runtime.Tests;

/// <summary>The public door, with the trained model: answers, conversations, limits.</summary>
public class EngineTests(TrainedModel model) : IClassFixture<TrainedModel>
{
    static readonly GenerationOptions greedy = new() { Sampling = SamplingOptions.Greedy };

    [Fact]
    public void Greedy_answers_to_conversations_are_the_goldens()
    {
        int end = model.Exact.Tokenizer!.Find("<|im_end|>")!.Value;
        foreach (var one in TrainedModel.Conversations)
            Assert.Equal(TrainedModel.Ids(one.GetProperty("ids")),
                (int[])[.. TrainedModel.Greedy(model.Exact, TrainedModel.Ids(one.GetProperty("prompt_ids"))), end]);
    }

    [Theory, Trait("set", "all"), MemberData(nameof(Trained))]
    public void Greedy_answers_are_the_goldens_on_every_device(string device, string name)
    {
        using var golden = new GoldenModel(name);
        using var engine = Engine.Load(golden.FilePath, new EngineOptions { Device = TestDevices.Named(device), Numerics = Numerics.Exact });
        int end = engine.Tokenizer!.Find("<|im_end|>")!.Value;
        var conversations = System.Text.Json.JsonDocument.Parse(File.ReadAllText(Repository.Golden($"models/{name}/chat.json"))).RootElement.EnumerateArray()
            .ToList();
        Assert.Equal(40, conversations.Count);
        foreach (var one in conversations)
            Assert.Equal(TrainedModel.Ids(one.GetProperty("ids")),
                (int[])[.. TrainedModel.Greedy(engine, TrainedModel.Ids(one.GetProperty("prompt_ids"))), end]);
    }

    [Fact]
    public async Task Updates_add_up_to_the_goldens_text()
    {
        foreach (var one in TrainedModel.Conversations)
        {
            var options = one.GetProperty("options");
            bool? think = options.TryGetProperty("enable_thinking", out var thinks) ? thinks.GetBoolean() : null;
            var tools = options.TryGetProperty("tools", out var list) && list.ValueKind == System.Text.Json.JsonValueKind.Array ? list.EnumerateArray()
                .ToList() : [];
            var (thinking, answer) = await TrainedModel.Collect(model.Exact.Generate(ChatMessages.FromJson(one.GetProperty("messages")),
                greedy with { Thinking = think, Tools = tools }));
            string text = one.GetProperty("text").GetString()!.Replace("<|im_end|>", "");
            int close = text.IndexOf("</think>", StringComparison.Ordinal);
            Assert.Equal(close < 0 ? text : text[(close + 8)..].TrimStart('\n'), answer);
            Assert.Equal(close < 0 ? "" : text["<think>".Length..close].TrimStart('\n'), thinking);
        }
    }

    /// <summary>Points of accuracy that a type may lose.</summary>
    static readonly Dictionary<DType, double> allowed = new() { [DType.Q8] = 0.01, [DType.Q4] = 0.02 };

    public static TheoryData<string, string> Trained() => GoldenTests.Trained();

    public static TheoryData<string, string, DType> Quantised()
    {
        var data = new TheoryData<string, string, DType>();
        foreach (var row in GoldenTests.Trained().Select(r => r.Data))
            foreach (var type in allowed.Keys)
                if (type == DType.Q8 || row.Item1 == "host") data.Add(row.Item1, row.Item2, type); // products have the same bits elsewhere
        return data;
    }

    [Theory, Trait("set", "all"), MemberData(nameof(Quantised))]
    public void Quantised_fast_is_as_good_as_BF16_on_the_questions(string device, string name, DType type)
    {
        using GoldenModel exactModel = new(name), model = new(name, type);
        using var exact = Engine.Load(exactModel.FilePath, new EngineOptions { Device = "host", Numerics = Numerics.Exact });
        using var fast = Engine.Load(model.FilePath, new EngineOptions { Device = TestDevices.Named(device) });
        double expected = TrainedModel.Accuracy(exact), actual = TrainedModel.Accuracy(fast);
        string figures = $"{name}: accuracy bf16 exact on host {expected:P1}, {type.Name()} fast on {device} {actual:P1}";
        TestContext.Current.SendDiagnosticMessage(figures);
        Assert.True(expected > 0.9 && actual >= expected - allowed[type], figures);
    }

    [Fact]
    public async Task What_a_prompt_shares_with_the_last_is_kept_and_changes_nothing()
    {
        var turns = new List<ChatMessage> { new("user", "Write 4217 in French.") };
        string first = (await TrainedModel.Collect(model.Q8.Generate(turns, greedy with { Thinking = false }))).Answer;
        turns.AddRange([new("assistant", first), new("user", "And 23 in German?")]);
        string again = (await TrainedModel.Collect(model.Q8.Generate(turns, greedy with { Thinking = false }))).Answer;
        var kept = model.Q8.LastReport!;
        Assert.InRange(kept.CachedTokens, 10, kept.PromptTokens - 1);
        await TrainedModel.Collect(model.Q8.Generate("something else entirely", greedy with { MaxTokens = 3 }));
        Assert.Equal(again, (await TrainedModel.Collect(model.Q8.Generate(turns, greedy with { Thinking = false }))).Answer);
        Assert.Equal((kept.LogitsHash, kept.Tokens), (model.Q8.LastReport!.LogitsHash, model.Q8.LastReport.Tokens));
    }

    [Theory, MemberData(nameof(Devices))]
    public void A_cache_in_Q8_gives_the_same_answers(string device)
    {
        using var engine = Engine.Load(model.Q8Path, new EngineOptions { Device = TestDevices.Named(device), Cache = CacheType.Q8 });
        int same = 0;
        foreach (var one in TrainedModel.Conversations)
            if (TrainedModel.Greedy(engine, TrainedModel.Ids(one.GetProperty("prompt_ids"))).AsSpan()
                .SequenceEqual(TrainedModel.Ids(one.GetProperty("ids")).AsSpan()[..^1])) same++;
        TestContext.Current.SendDiagnosticMessage($"cache in q8 on {device}: {same} of {TrainedModel.Conversations.Count} answers are the goldens");
        Assert.True(same >= 38, $"{same} of {TrainedModel.Conversations.Count} answers are the goldens");
    }

    [Fact]
    public void A_kept_prefix_computes_what_a_fresh_engine_would()
    {
        int[] prompt = [5, 6, 7, 8], answer = new int[10];
        var generation = model.Q8.Start(prompt, SamplingOptions.Greedy);
        for (int i = 0; i < answer.Length; i++) answer[i] = generation.Next() ?? -1;
        // The same again; the answer continued, whose last token was drawn but not computed; a part of it; another end.
        foreach (int[] next in new[] { prompt, [.. prompt, .. answer, 9], [.. prompt, .. answer], [.. prompt, .. answer[..4]], [.. prompt, answer[0], 77] })
        {
            using var fresh = Engine.Load(model.Q8Path, new EngineOptions { Device = "host" });
            uint Hash(Engine engine)
            {
                var one = engine.Start(next, SamplingOptions.Greedy, 1);
                one.Next();
                return one.Report().LogitsHash;
            }
            Assert.Equal(Hash(fresh), Hash(model.Q8));
        }
    }

    [Fact]
    public async Task Cancelling_ends_an_answer_and_not_the_engine()
    {
        using var stop = new CancellationTokenSource();
        int updates = 0;
        await foreach (var _ in model.Q8.Generate("Write 9999 in English.", greedy, stop.Token))
            if (++updates == 3) stop.Cancel();
        Assert.InRange(updates, 3, 4);
        Assert.Equal(EndReason.Stopped, model.Q8.LastReport!.End);
        Assert.Contains("vingt-trois", (await TrainedModel.Collect(model.Q8.Generate("Write 23 in French.", greedy))).Answer);
    }

    [Fact]
    public void Cancelling_ends_a_prompt_between_its_chunks()
    {
        int[] prompt = [.. Enumerable.Range(0, 3 * Engine.PrefillTokens).Select(i => i * 7 % 2000)];
        using var engine = Engine.Load(model.Q8Path, new EngineOptions { Device = "host", Context = 4 * Engine.PrefillTokens });
        using var stop = new CancellationTokenSource();
        var whole = engine.Start(prompt, SamplingOptions.Greedy, 1);
        var (first, hash) = (whole.Next(), whole.Report().LogitsHash);
        engine.Start([1], SamplingOptions.Greedy, 1); // forgets the prompt
        stop.Cancel();
        var cut = engine.Start(prompt, SamplingOptions.Greedy, 1, stop.Token);
        Assert.Null(cut.Next());
        Assert.Equal((EndReason.Stopped, 0, 0), (cut.Report().End, cut.Report().PromptTokens, cut.Report().Tokens));
        var again = engine.Start(prompt, SamplingOptions.Greedy, 1);
        Assert.Equal((first, hash), (again.Next(), again.Report().LogitsHash));
    }

    [Fact]
    public void Cancelling_before_anything_was_computed_reports_nothing()
    {
        using var engine = Engine.Load(model.Q8Path, new EngineOptions { Device = "host" });
        var stopped = engine.Start([5, 6, 7], SamplingOptions.Greedy, 1, new CancellationToken(canceled: true));
        Assert.Null(stopped.Next());
        Assert.Equal((EndReason.Stopped, 0, 0u), (stopped.Report().End, stopped.Report().Tokens, stopped.Report().LogitsHash));
        Assert.Throws<OperationCanceledException>(() =>
            Engine.Load(model.Q8Path, new EngineOptions { Device = "host" }, new CancellationToken(canceled: true)));
    }

    [Fact]
    public async Task A_caller_may_leave_early_and_others_may_ask_at_once()
    {
        await foreach (var _ in model.Q8.Generate("Write 9999 in English.", greedy)) break;
        var both = await Task.WhenAll(TrainedModel.Collect(model.Q8.Generate("Write 23 in French.", greedy)),
            TrainedModel.Collect(model.Q8.Generate("Write 24 in French.", greedy)));
        Assert.Equal(["vingt-trois", "vingt-quatre"], both.Select(b => b.Answer));
    }

    [Fact]
    public async Task Answers_end_where_they_should()
    {
        await TrainedModel.Collect(model.Q8.Generate("Write 4217 in French.", greedy with { MaxTokens = 2 }));
        Assert.Equal((EndReason.MaxTokens, 2), (model.Q8.LastReport!.End, model.Q8.LastReport.Tokens));
        using var small = Engine.Load(model.Q8Path, new EngineOptions { Device = "host", Context = 32 });
        await TrainedModel.Collect(small.Generate("Write 4217 in French.", greedy));
        Assert.Equal(EndReason.ContextFull, small.LastReport!.End);
        Assert.Equal(32, small.LastReport.PromptTokens + small.LastReport.Tokens - 1); // the last token needs no place
    }

    [Fact]
    public void A_caller_needs_one_namespace()
    {
        // What a caller writes down: options and what is inside them, arguments, results.
        var written = new HashSet<Type>();
        void Visit(Type type)
        {
            foreach (var part in type.IsGenericType ? type.GetGenericArguments() : [type])
                if (part.Assembly.GetName().Name!.StartsWith("Tessera", StringComparison.Ordinal) && written.Add(part) && !part.IsEnum)
                    foreach (var property in part.GetProperties()) if (property.SetMethod is not null) Visit(property.PropertyType);
        }
        foreach (var method in typeof(Engine).GetMethods().Where(m => m.DeclaringType == typeof(Engine) && !m.IsSpecialName))
        {
            Visit(method.ReturnType);
            foreach (var parameter in method.GetParameters()) Visit(parameter.ParameterType);
        }
        foreach (var type in new[] { typeof(Engine), typeof(DeviceCatalog), typeof(DeviceEntry), typeof(GenerationReport), typeof(TesseraException),
            typeof(ToolCalls), typeof(ChatMessages) }) Visit(type);
        Assert.Superset(new HashSet<Type> { typeof(EngineOptions), typeof(GenerationOptions), typeof(SamplingOptions), typeof(ChatMessage),
            typeof(GenerationUpdate), typeof(CacheType) }, written);
        Assert.All(written, type => Assert.Equal("Tessera", type.Namespace));
    }

    [Fact]
    public void Wrong_requests_are_told()
    {
        string Message(Action act) => Assert.ThrowsAny<TesseraException>(act).Message;
        Assert.Contains("prompt is empty", Message(() => model.Q8.Start([], SamplingOptions.Greedy)));
        Assert.Contains("token 99999: expected 0 to", Message(() => model.Q8.Start([99999], SamplingOptions.Greedy)));
        Assert.Contains("the context holds", Message(() => model.Q8.Start(new int[model.Q8.Context], SamplingOptions.Greedy)));
        Assert.Contains("top-p must be", Message(() => model.Q8.Start([1], new SamplingOptions { TopP = 0 })));
        Assert.Contains("temperature must be", Message(() => model.Q8.Start([1], new SamplingOptions { Temperature = float.NaN })));
        Assert.Contains("device 'gpu': expected", Message(() => Engine.Load(model.Q8Path, new EngineOptions { Device = "gpu" })));
        Assert.Contains("expected 1 to 4096 tokens", Message(() => Engine.Load(model.Q8Path, new EngineOptions { Device = "host", Context = 5000 })));
        Assert.Contains("cache type 7: expected", Message(() => Engine.Load(model.Q8Path, new EngineOptions { Device = "host", Cache = (CacheType)7 })));
        Assert.Contains("threads -1: expected", Message(() => Engine.Load(model.Q8Path, new EngineOptions { Device = "host", Threads = -1 })));
        Assert.Contains("found null", Message(() => model.Q8.Generate((IEnumerable<ChatMessage>)null!)));
        using var bare = new GoldenModel("tiny-f16");
        using var engine = Engine.Load(bare.FilePath, new EngineOptions { Device = "host" });
        Assert.False(engine.CanChat);
        Assert.Contains("holds no tokenizer", Message(() => engine.Generate("hi")));
    }

    public static TheoryData<string> Devices => [.. TestDevices.ForModels];

    [Theory, MemberData(nameof(Devices))]
    public void Decoding_allocates_nothing(string device)
    {
        foreach (var sampling in new[] { SamplingOptions.Greedy, new SamplingOptions { Temperature = 0.6f, TopK = 20, TopP = 0.95f, Seed = 1 },
            new SamplingOptions { Temperature = 0.6f, TopK = 0, TopP = 0.95f, Seed = 1 }, new SamplingOptions { Temperature = 0, RepetitionPenalty = 1.01f } })
        {
            long least = long.MaxValue;
            for (int attempt = 0; attempt < 3; attempt++) // another thread of the test run may allocate meanwhile
            {
                using var engine = Engine.Load(model.Q8Path, new EngineOptions { Device = TestDevices.Named(device), Context = 512 });
                var generation = Unending(engine, sampling);
                for (int i = 0; i < 32; i++) generation.Next();
                long before = GC.GetAllocatedBytesForCurrentThread();
                for (int i = 0; i < 256; i++) Assert.NotNull(generation.Next());
                least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
            }
            Assert.Equal(0, least);
        }
    }

    /// <summary>A generation that no end token stops.</summary>
    static Generation Unending(Engine engine, SamplingOptions sampling)
    {
        Array.Fill(engine.Info.Generation.EndIds, -1);
        return engine.Start([5, 6, 7, 8], sampling);
    }
}
