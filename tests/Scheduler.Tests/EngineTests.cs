using Tessera.Runtime.Models;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Scheduling.Tests;

/// <summary>The public door, with the trained model: answers, conversations, limits.</summary>
public class EngineTests(TrainedModel model) : IClassFixture<TrainedModel>
{
    static readonly GenerationOptions greedy = new() { Sampling = SamplingOptions.Greedy };

    [Fact]
    public async Task Greedy_answers_to_conversations_are_the_goldens()
    {
        int end = model.Exact.Tokenizer!.Find("<|im_end|>")!.Value;
        foreach (var one in TrainedModel.Conversations)
            Assert.Equal(TrainedModel.Ids(one.GetProperty("ids")),
                (int[])[.. await TrainedModel.Greedy(model.Exact, TrainedModel.Ids(one.GetProperty("prompt_ids"))), end]);
    }

    [Theory, Trait("set", "all"), MemberData(nameof(Trained))]
    public async Task Greedy_answers_are_the_goldens_on_every_device(string device, string name)
    {
        using var golden = new GoldenModel(name);
        using var engine = Engine.Load(golden.FilePath, new EngineOptions { Device = TestDevices.Named(device), Numerics = Numerics.Exact });
        int end = engine.Tokenizer!.Find("<|im_end|>")!.Value;
        var conversations = System.Text.Json.JsonDocument.Parse(File.ReadAllText(Repository.Golden($"models/{name}/chat.json"))).RootElement.EnumerateArray()
            .ToList();
        Assert.Equal(40, conversations.Count);
        foreach (var one in conversations)
            Assert.Equal(TrainedModel.Ids(one.GetProperty("ids")),
                (int[])[.. await TrainedModel.Greedy(engine, TrainedModel.Ids(one.GetProperty("prompt_ids"))), end]);
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
            var (thinking, answer, calls) = ("", "", new List<ToolCall>());
            var messages = ChatMessages.FromJson(one.GetProperty("messages"));
            await foreach (var update in model.Exact.Generate(messages, greedy with { Thinking = think, Tools = tools }))
            {
                if (update.Thinking) thinking += update.Text;
                else answer += update.Text;
                if (update.Call is { } call) calls.Add(call);
            }
            string text = one.GetProperty("text").GetString()!.Replace("<|im_end|>", "");
            int close = text.IndexOf("</think>", StringComparison.Ordinal);
            var (expected, expectedCalls) = ToolCalls.Parse(close < 0 ? text : text[(close + 8)..].TrimStart('\n'));
            Assert.Equal(expected, answer);
            Assert.Equal(expectedCalls.Select(c => (c.Name, c.Arguments.GetRawText())), calls.Select(c => (c.Name, c.Arguments.GetRawText())));
            Assert.Equal(close < 0 ? "" : text["<think>".Length..close].TrimStart('\n'), thinking);
        }
    }

    /// <summary>Points of accuracy that a type may lose.</summary>
    static readonly Dictionary<DType, double> allowed = new() { [DType.Q8] = 0.01, [DType.Q4] = 0.02 };

    public static TheoryData<string, string> Trained()
    {
        var data = new TheoryData<string, string>();
        foreach (string device in TestDevices.ForModels)
            foreach (string name in new[] { "numbers-dense", "numbers-moe" }) data.Add(device, name);
        return data;
    }

    public static TheoryData<string, string, DType> Quantised()
    {
        var data = new TheoryData<string, string, DType>();
        foreach (var row in Trained().Select(r => r.Data))
            foreach (var type in allowed.Keys)
                if (type == DType.Q8 || row.Item1 == "host") data.Add(row.Item1, row.Item2, type); // products have the same bits elsewhere
        return data;
    }

    [Theory, Trait("set", "all"), MemberData(nameof(Quantised))]
    public async Task Quantised_fast_is_as_good_as_BF16_on_the_questions(string device, string name, DType type)
    {
        using GoldenModel exactModel = new(name), model = new(name, type);
        using var exact = Engine.Load(exactModel.FilePath, new EngineOptions { Device = "host", Numerics = Numerics.Exact });
        using var fast = Engine.Load(model.FilePath, new EngineOptions { Device = TestDevices.Named(device) });
        double expected = await TrainedModel.Accuracy(exact), actual = await TrainedModel.Accuracy(fast);
        string figures = $"{name}: accuracy bf16 exact on host {expected:P1}, {type.Name()} fast on {device} {actual:P1}";
        TestContext.Current.SendDiagnosticMessage(figures);
        Assert.True(expected > 0.9 && actual >= expected - allowed[type], figures);
    }

    [Fact]
    public async Task What_a_prompt_shares_with_another_is_kept_and_changes_nothing()
    {
        var turns = new List<ChatMessage> { new("user", "Write 4217 in French.") };
        string first = (await TrainedModel.Collect(model.Q8.Generate(turns, greedy with { Thinking = false }))).Answer;
        turns.AddRange([new("assistant", first), new("user", "And 23 in German?")]);
        var (_, again, kept) = await TrainedModel.Collect(model.Q8.Generate(turns, greedy with { Thinking = false }));
        Assert.InRange(kept.CachedTokens, KvBlock.Tokens, kept.PromptTokens - 1);
        var salted = await TrainedModel.Collect(model.Q8.Generate(turns, greedy with { Thinking = false, CacheSalt = "mine" }));
        Assert.Equal((0, again, kept.LogitsHash, kept.Tokens),
            (salted.Report.CachedTokens, salted.Answer, salted.Report.LogitsHash, salted.Report.Tokens));
    }

    [Theory, Trait("set", "all"), MemberData(nameof(Devices))]
    public async Task A_cache_in_Q8_gives_the_same_answers(string device)
    {
        using var engine = Engine.Load(model.Q8Path, new EngineOptions { Device = TestDevices.Named(device), Cache = CacheType.Q8 });
        int same = 0;
        await Parallel.ForEachAsync(TrainedModel.Conversations, async (one, _) =>
        {
            int[] ids = await TrainedModel.Greedy(engine, TrainedModel.Ids(one.GetProperty("prompt_ids")));
            if (ids.AsSpan().SequenceEqual(TrainedModel.Ids(one.GetProperty("ids")).AsSpan()[..^1])) Interlocked.Increment(ref same);
        });
        TestContext.Current.SendDiagnosticMessage($"cache in q8 on {device}: {same} of {TrainedModel.Conversations.Count} answers are the goldens");
        Assert.True(same >= 38, $"{same} of {TrainedModel.Conversations.Count} answers are the goldens");
    }

    [Fact]
    public async Task Answers_end_where_they_should()
    {
        async Task<GenerationReport> Of(Engine engine, GenerationOptions options) =>
            (await TrainedModel.Collect(engine.Generate("Write 4217 in French.", options))).Report;
        var cut = await Of(model.Q8, greedy with { MaxTokens = 2 });
        Assert.Equal((EndReason.MaxTokens, 2), (cut.End, cut.Tokens));
        using var small = Engine.Load(model.Q8Path, new EngineOptions { Device = "host", Context = 32 });
        var full = await Of(small, greedy);
        Assert.Equal((EndReason.ContextFull, 32), (full.End, full.PromptTokens + full.Tokens - 1)); // the last token needs no place
        Assert.Equal(EndReason.Deadline, (await Of(model.Q8, greedy with { Timeout = TimeSpan.FromTicks(1) })).End);
        var whole = await Of(model.Q8, greedy);
        Assert.Equal(EndReason.EndOfAnswer, whole.End);
        Assert.True(whole is { PrefillSeconds: > 0, DecodeSeconds: > 0, QueuedSeconds: >= 0, ThinkingTokens: > 0 } && whole.ThinkingTokens < whole.Tokens);
    }

    [Fact]
    public async Task Stop_strings_and_ids_end_an_answer_and_are_not_shown()
    {
        var plain = greedy with { Thinking = false };
        var (_, text, whole) = await TrainedModel.Collect(model.Q8.Generate("Write 4217 in French.", plain));
        Assert.Equal("quatre mille deux cent dix-sept", text);
        var (_, stopped, report) = await TrainedModel.Collect(model.Q8.Generate("Write 4217 in French.", plain with { StopStrings = ["none", "ux ce"] }));
        Assert.Equal(("quatre mille de", EndReason.StopString), (stopped, report.End));
        Assert.True(report.Tokens < whole.Tokens);
        int[] ids = (await TrainedModel.Collect(model.Q8.GenerateIds(Prompt("Write 4217 in French."), plain))).Ids;
        var (first, end) = await TrainedModel.Collect(model.Q8.GenerateIds(Prompt("Write 4217 in French."), plain with { StopIds = [ids[3]] }));
        Assert.Equal(ids[..3], first);
        Assert.Equal(EndReason.EndOfAnswer, end.End);
    }

    int[] Prompt(string question) =>
        model.Q8.Tokenizer!.Encode(model.Q8.Template!.Render([new ChatMessage("user", question)], new PromptOptions { Thinking = false }));

    [Fact]
    public async Task A_thinking_budget_makes_the_model_answer()
    {
        var (long_, answer, whole) = await TrainedModel.Collect(model.Q8.Generate("Write 4217 in French.", greedy with { Thinking = true }));
        var (thinking, cut, report) = await TrainedModel.Collect(model.Q8.Generate("Write 4217 in French.", greedy with { ThinkingBudget = 3 }));
        Assert.InRange(whole.ThinkingTokens, 4, whole.Tokens);
        Assert.StartsWith(thinking[..thinking.IndexOf("\n\nConsidering", StringComparison.Ordinal)], long_);
        Assert.EndsWith("directly now.\n", thinking);
        Assert.NotEqual("", cut);
        Assert.True(report.ThinkingTokens > 3 && report.End == EndReason.EndOfAnswer, $"{report} {cut} {answer}");
    }

    [Fact]
    public async Task A_prefix_is_the_answers_beginning_and_a_mask_and_biases_say_what_can_follow()
    {
        var plain = greedy with { Thinking = false };
        string forced = (await TrainedModel.Collect(model.Q8.Generate("Write 4217 in French.", plain with { Prefix = "vingt" }))).Answer;
        Assert.StartsWith("vingt", forced);
        Assert.NotEqual("vingt", forced);
        int[] prompt = Prompt("Write 4217 in French."), ids = (await TrainedModel.Collect(model.Q8.GenerateIds(prompt, plain))).Ids;
        var mask = new int[(model.Q8.Info.Config.Vocabulary + 31) / 32];
        mask[ids[0] / 32] |= 1 << (ids[0] % 32);
        var masked = await TrainedModel.Collect(model.Q8.GenerateIds(prompt, plain with { MaxTokens = 5, Mask = _ => mask }));
        Assert.Equal(Enumerable.Repeat(ids[0], 5), masked.Ids);
        var biased = await TrainedModel.Collect(model.Q8.GenerateIds(prompt, plain with
        {
            MaxTokens = 1, Biases = new Dictionary<int, float> { [ids[0]] = float.NegativeInfinity },
        }));
        Assert.NotEqual(ids[0], biased.Ids[0]);
    }

    [Fact]
    public async Task Logprobs_come_with_every_token()
    {
        var updates = new List<GenerationUpdate>();
        await foreach (var update in model.Q8.Generate("Write 4217 in French.", greedy with { Thinking = false, TopLogprobs = 3 })) updates.Add(update);
        var logprobs = updates.Select(u => u.Logprobs).OfType<TokenLogprobs>().ToList();
        Assert.Equal(updates[^1].Report!.Tokens, logprobs.Count);
        Assert.All(logprobs, one =>
        {
            Assert.Equal(3, one.Best.Count);
            Assert.Equal((one.Id, one.Logprob), (one.Best[0].Id, one.Best[0].Logprob)); // greedy
            Assert.True(one.Logprob <= 0 && one.Best.Sum(b => Math.Exp(b.Logprob)) < 1.0001);
        });
        Assert.Equal("quatre mille deux cent dix-sept", string.Concat(updates.Select(u => u.Text)));
        // Of an id that is none of the candidates too.
        var hot = new SamplingOptions { Temperature = 50, TopK = 0, TopP = 1, MinP = 0, Seed = 5 };
        await foreach (var token in model.Q8.GenerateIds([5, 6, 7], new GenerationOptions { Sampling = hot, MaxTokens = 20, TopLogprobs = 0 }))
            if (token.Report is null) Assert.True(token.Logprobs is { Logprob: < 0, Best.Count: 0 });
    }

    [Fact]
    public async Task Answers_to_one_prompt_are_those_of_their_seeds()
    {
        var hot = new SamplingOptions { Temperature = 20, TopK = 0, TopP = 1, MinP = 0, Seed = 40 };
        int[] prompt = Prompt("Write 4217 in French.");
        var ids = Enumerable.Range(0, 4).Select(_ => new List<int>()).ToArray();
        int ends = 0;
        await foreach (var token in model.Q8.GenerateIds(prompt, new GenerationOptions { Sampling = hot, MaxTokens = 12, Answers = 4 }))
            if (token.Report is null) ids[token.Answer].Add(token.Id);
            else ends++;
        Assert.Equal(4, ends);
        for (int i = 0; i < 4; i++)
            Assert.Equal((await TrainedModel.Collect(model.Q8.GenerateIds(prompt,
                new GenerationOptions { Sampling = hot with { Seed = 40 + i }, MaxTokens = 12 }))).Ids, ids[i]);
        Assert.Equal(4, ids.Select(one => string.Join(' ', one)).Distinct().Count());
    }

    [Fact]
    public async Task A_frequency_penalty_grows_with_every_use()
    {
        int[] prompt = [5, 6, 7];
        var penalised = greedy with { MaxTokens = 60, Sampling = SamplingOptions.Greedy with { FrequencyPenalty = 10 } };
        int[] ids = (await TrainedModel.Collect(model.Q8.GenerateIds(prompt, penalised))).Ids;
        int most = ids.GroupBy(id => id).Max(g => g.Count());
        Assert.True(most <= 2, $"one token came {most} times");
    }

    [Fact]
    public async Task Sixteen_threads_get_the_answers_of_one()
    {
        string[] questions = [.. Enumerable.Range(0, 64).Select(i => $"Write {i * 97 % 5000} in {(i % 2 == 0 ? "French" : "German")}.")];
        var options = greedy with { Thinking = false };
        var alone = new List<string>();
        foreach (string question in questions) alone.Add((await TrainedModel.Collect(model.Q8.Generate(question, options))).Answer);
        var together = new string[questions.Length];
        await Parallel.ForAsync(0, questions.Length, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (i, _) =>
            together[i] = (await TrainedModel.Collect(model.Q8.Generate(questions[i], options))).Answer);
        Assert.Equal(alone, together);
    }

    [Fact]
    public async Task Texts_become_vectors_that_do_not_depend_on_who_shares_the_step()
    {
        string[] texts = [.. Enumerable.Range(0, 40).Select(i => string.Concat(Enumerable.Repeat($"{i} ", 1 + i * 7 % 90)))];
        var (vectors, tokens) = await model.Q8.EmbedAsync(texts);
        Assert.Equal(texts.Sum(t => model.Q8.Tokenizer!.Encode(t, added: false).Length + 1), tokens); // and the end
        for (int i = 0; i < texts.Length; i++)
        {
            Assert.Equal(1, vectors[i].Sum(v => (double)v * v), 1e-6);
            if (i % 8 == 0) Assert.Equal((await model.Q8.EmbedAsync([texts[i]])).Vectors[0], vectors[i]);
        }
        Assert.Equal(40, vectors.Select(v => v[0]).Distinct().Count());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => model.Q8.EmbedAsync(texts, new CancellationToken(canceled: true)));
        await Assert.ThrowsAsync<ContextFullException>(() => model.Q8.EmbedAsync([new int[model.Q8.Context + 1]]));
        Assert.Contains("found null", (await Assert.ThrowsAsync<TesseraException>(() => model.Q8.EmbedAsync([(string)null!]))).Message);
        Assert.Empty((await model.Q8.EmbedAsync(Array.Empty<string>())).Vectors);
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
            typeof(GenerationUpdate), typeof(CacheType), typeof(GeneratedToken), typeof(TokenLogprobs) }, written);
        Assert.All(written, type => Assert.Equal("Tessera", type.Namespace));
    }

    [Fact]
    public void Wrong_requests_are_told()
    {
        string Message(Action act) => Assert.ThrowsAny<TesseraException>(act).Message;
        void Refused(string expected, GenerationOptions options) => Assert.Contains(expected, Message(() => model.Q8.GenerateIds([1], options)));
        Assert.Contains("prompt is empty", Message(() => model.Q8.GenerateIds([])));
        Assert.Contains("token 99999: expected 0 to", Message(() => model.Q8.GenerateIds([99999])));
        Assert.Contains("the context holds", Message(() => model.Q8.GenerateIds(new int[model.Q8.Context])));
        Refused("top-p must be", new GenerationOptions { Sampling = new SamplingOptions { TopP = 0 } });
        Refused("temperature must be", new GenerationOptions { Sampling = new SamplingOptions { Temperature = float.NaN } });
        Refused("frequency penalty must be", new GenerationOptions { Sampling = new SamplingOptions { FrequencyPenalty = 11 } });
        Refused("found null", new GenerationOptions { Sampling = null! });
        Refused("stop string: expected 1 to 4096 bytes", new GenerationOptions { StopStrings = [""] });
        Refused("answers 0: expected 1 to 128", new GenerationOptions { Answers = 0 });
        Refused("tokens of an answer -1", new GenerationOptions { MaxTokens = -1 });
        Refused("thinking budget -1", new GenerationOptions { ThinkingBudget = -1 });
        Refused("logprobs of the best 21", new GenerationOptions { TopLogprobs = 21 });
        Refused("timeout", new GenerationOptions { Timeout = TimeSpan.Zero });
        Refused("bias NaN of token 4", new GenerationOptions { Biases = new Dictionary<int, float> { [4] = float.NaN } });
        Refused("of token -1", new GenerationOptions { Biases = new Dictionary<int, float> { [-1] = 1 } });
        Refused("at most 1024", new GenerationOptions { Biases = Enumerable.Range(0, 1025).ToDictionary(i => i, _ => 1f) });
        Assert.Contains("device 'gpu': expected", Message(() => Engine.Load(model.Q8Path, new EngineOptions { Device = "gpu" })));
        Assert.Contains("expected 1 to 4096 tokens", Message(() => Engine.Load(model.Q8Path, new EngineOptions { Device = "host", Context = 5000 })));
        Assert.Contains("cache type 7: expected", Message(() => Engine.Load(model.Q8Path, new EngineOptions { Device = "host", Cache = (CacheType)7 })));
        Assert.Contains("sequences -1: expected", Message(() => Engine.Load(model.Q8Path, new EngineOptions { Device = "host", Sequences = -1 })));
        Assert.Contains("cache -1: expected", Message(() => Engine.Load(model.Q8Path, new EngineOptions { Device = "host", CacheTokens = -1 })));
        Assert.Contains("requests that wait 0", Message(() => Engine.Load(model.Q8Path, new EngineOptions { Device = "host", MaxQueued = 0 })));
        Assert.Contains("milliseconds of a step NaN", Message(() => Engine.Load(model.Q8Path, new EngineOptions { StepMilliseconds = double.NaN })));
        Assert.Contains("threads -1: expected", Message(() => Engine.Load(model.Q8Path, new EngineOptions { Device = "host", Threads = -1 })));
        Assert.Contains("found null", Message(() => model.Q8.Generate((IEnumerable<ChatMessage>)null!)));
        using var bare = new GoldenModel("tiny-f16");
        using var engine = Engine.Load(bare.FilePath, new EngineOptions { Device = "host" });
        Assert.False(engine.CanChat);
        Assert.Contains("holds no tokenizer", Message(() => engine.Generate("hi")));
    }

    public static TheoryData<string> Devices => [.. TestDevices.ForModels];
}
