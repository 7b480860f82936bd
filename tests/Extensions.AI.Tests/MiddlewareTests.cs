using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Tessera.Extensions.AI.Tests;

/// <summary>The client under the middlewares that .NET programs put around one: caching, telemetry, logs.</summary>
public class MiddlewareTests
{
    const string Question = "Write 4217 in French.";

    static IDistributedCache Cache() => new MemoryDistributedCache(Options.Create(new MemoryDistributedCacheOptions()));

    /// <summary>Counts what reaches the client.</summary>
    sealed class Counted(IChatClient inner) : DelegatingChatClient(inner)
    {
        public int Calls { get; private set; }

        public override Task<ChatResponse> GetResponseAsync(IEnumerable<AIMessage> messages, ChatOptions? options = null, CancellationToken stop = default)
        {
            Calls++;
            return base.GetResponseAsync(messages, options, stop);
        }

        public override IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<AIMessage> messages, ChatOptions? options = null,
            CancellationToken stop = default)
        {
            Calls++;
            return base.GetStreamingResponseAsync(messages, options, stop);
        }
    }

    static ChatOptions Request(Action<ChatOptions>? change = null)
    {
        var options = ScriptedEngine.Greedy();
        options.AdditionalProperties = new() { ["min_p"] = 0.0, ["cache_salt"] = "mine", ["priority"] = 1, ["theirs"] = "x" };
        change?.Invoke(options);
        return options;
    }

    [Fact]
    public async Task A_cached_response_is_the_response()
    {
        using var scripted = new ScriptedEngine(_ => "<think>\nhm\n</think>\n\nquatre mille");
        var counted = new Counted(scripted.Client);
        var client = counted.AsBuilder().UseDistributedCache(Cache()).Build();
        var (first, second) = (await client.GetResponseAsync(Question, Request()), await client.GetResponseAsync(Question, Request()));
        Assert.Equal(1, counted.Calls);
        Assert.Equal((first.Text, first.FinishReason, first.ResponseId, first.ModelId), (second.Text, second.FinishReason, second.ResponseId, second.ModelId));
        Assert.Equal((first.Usage!.TotalTokenCount, first.Usage.ReasoningTokenCount, first.CreatedAt),
            (second.Usage!.TotalTokenCount, second.Usage.ReasoningTokenCount, second.CreatedAt));
        Assert.Equal("hm\n", Assert.Single(second.Messages[0].Contents.OfType<TextReasoningContent>()).Text);
        await client.GetResponseAsync(Question, Request(o => o.AdditionalProperties!["cache_salt"] = "other"));
        await client.GetResponseAsync("Another?", Request());
        Assert.Equal(3, counted.Calls);
    }

    [Fact]
    public async Task A_cached_stream_is_the_stream_with_its_calls()
    {
        using var scripted = new ScriptedEngine(_ => "One.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": [1, {\"y\": null}]}}\n</tool_call>");
        var counted = new Counted(scripted.Client);
        var client = counted.AsBuilder().UseDistributedCache(Cache()).Build();
        var tool = AIFunctionFactory.Create((JsonElement x) => "", "f");
        var streams = new List<ChatResponse>();
        for (int i = 0; i < 2; i++) streams.Add(await client.GetStreamingResponseAsync(Question, Request(o => o.Tools = [tool])).ToChatResponseAsync());
        Assert.Equal(1, counted.Calls);
        var calls = streams.Select(s => Assert.Single(s.Messages[0].Contents.OfType<FunctionCallContent>())).ToList();
        Assert.Equal((calls[0].CallId, "f"), (calls[1].CallId, calls[1].Name));
        Assert.All(calls, c => Assert.True(JsonElement.DeepEquals(JsonElement.Parse("[1, {\"y\": null}]"), (JsonElement)c.Arguments!["x"]!)));
        Assert.Equal((streams[0].Text, ChatFinishReason.ToolCalls, streams[0].Usage!.InputTokenCount),
            (streams[1].Text, streams[1].FinishReason, streams[1].Usage!.InputTokenCount));
    }

    /// <summary>Collects the activities of a source.</summary>
    static ActivityListener Listen(string source, List<Activity> activities)
    {
        var listener = new ActivityListener
        {
            ShouldListenTo = s => s.Name == source, Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activities.Add,
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Telemetry_has_provider_model_reason_and_usage(bool streams)
    {
        using var scripted = new ScriptedEngine(_ => "<think>\nhm\n</think>\n\nquatre mille");
        string source = $"tessera-{Guid.NewGuid():N}";
        var activities = new List<Activity>();
        using var listener = Listen(source, activities);
        var tokens = new List<(string? Type, int Count)>();
        using var meter = new MeterListener { InstrumentPublished = (i, l) => { if (i.Meter.Name == source) l.EnableMeasurementEvents(i); } };
        meter.SetMeasurementEventCallback<int>((instrument, count, tags, _) =>
        {
            if (instrument.Name != "gen_ai.client.token.usage") return;
            foreach (var tag in tags) if (tag.Key == "gen_ai.token.type") tokens.Add(((string?)tag.Value, count));
        });
        meter.Start();
        var client = scripted.Client.AsBuilder().UseOpenTelemetry(sourceName: source, configure: c => c.EnableSensitiveData = true).Build();
        var response = streams ? await client.GetStreamingResponseAsync(Question, Request()).ToChatResponseAsync()
            : await client.GetResponseAsync(Question, Request());
        var activity = Assert.Single(activities);
        string? Tag(string name) => activity.GetTagItem(name)?.ToString();
        Assert.Equal(("chat numbers-dense", "tessera"), (activity.DisplayName, Tag("gen_ai.provider.name")));
        Assert.Equal(("numbers-dense", "numbers-dense"), (Tag("gen_ai.request.model"), Tag("gen_ai.response.model")));
        Assert.Equal(response.ResponseId, Tag("gen_ai.response.id"));
        Assert.Equal($"{response.Usage!.InputTokenCount}", Tag("gen_ai.usage.input_tokens"));
        Assert.Equal($"{response.Usage.OutputTokenCount}", Tag("gen_ai.usage.output_tokens"));
        Assert.Equal($"{response.Usage.CachedInputTokenCount}", Tag("gen_ai.usage.cache_read.input_tokens"));
        Assert.Equal($"{response.Usage.ReasoningTokenCount}", Tag("gen_ai.usage.reasoning.output_tokens"));
        Assert.Contains("quatre mille", Tag("gen_ai.output.messages"));
        Assert.Contains(("input", (int)response.Usage.InputTokenCount!), tokens);
        Assert.Contains(("output", (int)response.Usage.OutputTokenCount!), tokens);
    }

    [Fact]
    public async Task What_is_refused_is_an_error_of_the_activity()
    {
        using var scripted = new ScriptedEngine(_ => "");
        string source = $"tessera-{Guid.NewGuid():N}";
        var activities = new List<Activity>();
        using var listener = Listen(source, activities);
        var client = scripted.Client.AsBuilder().UseOpenTelemetry(sourceName: source).Build();
        await Assert.ThrowsAsync<TesseraException>(() => client.GetResponseAsync(Question, Request(o => o.ConversationId = "1")));
        Assert.Equal((ActivityStatusCode.Error, "Tessera.TesseraException"), (Assert.Single(activities).Status, $"{activities[0].GetTagItem("error.type")}"));
    }

    sealed class Lines : ILoggerProvider, ILogger
    {
        public List<string> Written { get; } = [];

        public ILogger CreateLogger(string category) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel level) => true;

        public void Log<TState>(LogLevel level, EventId id, TState state, Exception? exception, Func<TState, Exception?, string> format)
        {
            lock (Written) Written.Add($"{level}: {format(state, exception)}");
        }

        public void Dispose() { }
    }

    [Fact]
    public async Task Logs_tell_calls_answers_and_cancelling()
    {
        using var scripted = new ScriptedEngine((_, generated) => generated + "more");
        var lines = new Lines();
        using var factory = LoggerFactory.Create(b => b.AddProvider(lines).SetMinimumLevel(LogLevel.Trace));
        var client = scripted.Client.AsBuilder().UseLogging(factory).Build();
        await client.GetResponseAsync(Question, Request(o => o.MaxOutputTokens = 2));
        Assert.Contains(lines.Written, l => l.StartsWith("Trace: GetResponseAsync invoked", StringComparison.Ordinal) && l.Contains("cache_salt"));
        Assert.Contains(lines.Written, l => l.StartsWith("Trace: GetResponseAsync completed", StringComparison.Ordinal) && l.Contains("cachedInputTokenCount"));
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var update in client.GetStreamingResponseAsync(Question, Request(), stop.Token)) stop.Cancel();
        });
        Assert.Contains(lines.Written, l => l.Contains("canceled"));
    }

    [Fact]
    public async Task All_middlewares_together_leave_the_answer_what_it_is()
    {
        using var scripted = new ScriptedEngine(prompt => prompt.Contains("<tool_response>\n42\n")
            ? "It is 42." : "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>");
        using var factory = LoggerFactory.Create(b => b.AddProvider(new Lines()).SetMinimumLevel(LogLevel.Trace));
        var counted = new Counted(scripted.Client);
        int invoked = 0;
        var tool = AIFunctionFactory.Create(() => { invoked++; return 42; }, "f");
        var client = counted.AsBuilder().UseLogging(factory).UseOpenTelemetry(factory).UseFunctionInvocation(factory).UseDistributedCache(Cache()).Build();
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal("It is 42.", (await client.GetResponseAsync(Question, Request(o => o.Tools = [tool]))).Text);
            Assert.Equal("It is 42.", (await client.GetStreamingResponseAsync(Question, Request(o => o.Tools = [tool])).ToChatResponseAsync()).Text);
        }
        Assert.Equal((4, 4), (invoked, counted.Calls)); // two steps each, of a response and of a stream; the second time they are cached
        Assert.Same(scripted.Engine, client.GetService<Engine>());
        Assert.Equal("tessera", client.GetService<ChatClientMetadata>()!.ProviderName);
    }
}
