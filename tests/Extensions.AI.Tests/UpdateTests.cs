using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Tessera.Extensions.AI.Tests;

/// <summary>What comes out of the client, update by update, on an engine whose answers are written here.</summary>
public class UpdateTests
{
    const string Question = "Write 4217 in French.";

    static readonly AITool spell = AIFunctionFactory.Create((int number, string language) => $"{number} in {language}", "spell_number");

    static string Call(int number, string language) =>
        $"<tool_call>\n{{\"name\": \"spell_number\", \"arguments\": {{\"number\": {number}, \"language\": \"{language}\"}}}}\n</tool_call>";

    static async Task<List<ChatResponseUpdate>> Updates(IChatClient client, ChatOptions options)
    {
        var updates = new List<ChatResponseUpdate>();
        await foreach (var update in client.GetStreamingResponseAsync(Question, options)) updates.Add(update);
        return updates;
    }

    [Fact]
    public async Task Thinking_text_finish_reason_and_usage_come_in_this_order()
    {
        using var scripted = new ScriptedEngine(_ => "<think>\nfour digits\n</think>\n\nquatre mille");
        var updates = await Updates(scripted.Client, ScriptedEngine.Greedy());
        var contents = updates.SelectMany(u => u.Contents).ToList();
        int thoughts = contents.TakeWhile(c => c is TextReasoningContent).Count(), texts = contents.Skip(thoughts).TakeWhile(c => c is TextContent).Count();
        Assert.True(thoughts > 1 && texts > 1, $"{thoughts} and {texts}");
        Assert.Equal("four digits\n", string.Concat(contents.OfType<TextReasoningContent>().Select(c => c.Text)));
        Assert.Equal("quatre mille", string.Concat(updates.Select(u => u.Text)));
        Assert.Equal(thoughts + texts + 1, contents.Count);
        Assert.All(updates.SkipLast(2), u => Assert.Null(u.FinishReason));
        Assert.Equal((ChatFinishReason.Stop, 0), (updates[^2].FinishReason, updates[^2].Contents.Count));
        var usage = Assert.IsType<UsageContent>(Assert.Single(updates[^1].Contents)).Details;
        Assert.Equal(usage.InputTokenCount + usage.OutputTokenCount, usage.TotalTokenCount);
        Assert.True(usage is { InputTokenCount: > 10, CachedInputTokenCount: 0, ReasoningTokenCount: > 2 });
        Assert.True(usage.ReasoningTokenCount < usage.OutputTokenCount);
    }

    [Fact]
    public async Task All_updates_are_of_one_response_and_one_message()
    {
        using var scripted = new ScriptedEngine(_ => "quatre mille");
        var before = DateTimeOffset.UtcNow;
        var (first, second) = (await Updates(scripted.Client, ScriptedEngine.Greedy()), await Updates(scripted.Client, ScriptedEngine.Greedy()));
        foreach (var updates in new[] { first, second })
            Assert.All(updates, u =>
            {
                Assert.Equal((updates[0].ResponseId, updates[0].MessageId, updates[0].CreatedAt), (u.ResponseId, u.MessageId, u.CreatedAt));
                Assert.Equal((ChatRole.Assistant, "numbers-dense", null), (u.Role, u.ModelId, u.ConversationId));
            });
        Assert.InRange(first[0].CreatedAt!.Value, before, DateTimeOffset.UtcNow);
        Assert.False(string.IsNullOrEmpty(first[0].ResponseId));
        Assert.NotEqual(first[0].ResponseId, second[0].ResponseId);
    }

    [Fact]
    public async Task A_response_is_the_sum_of_its_updates()
    {
        using var scripted = new ScriptedEngine(_ => "<think>\nhm\n</think>\n\nquatre mille");
        var response = await scripted.Client.GetResponseAsync(Question, ScriptedEngine.Greedy());
        var message = Assert.Single(response.Messages);
        Assert.Equal(["hm\n", "quatre mille"], message.Contents.Select(c => c is TextReasoningContent t ? t.Text : ((TextContent)c).Text));
        Assert.Equal(("quatre mille", ChatFinishReason.Stop, "numbers-dense"), (response.Text, response.FinishReason, response.ModelId));
        Assert.Equal((message.MessageId, ChatRole.Assistant), (response.ResponseId, message.Role));
        Assert.NotNull(response.CreatedAt);
        var again = await scripted.Client.GetResponseAsync(Question, ScriptedEngine.Greedy());
        Assert.Equal((response.Usage!.InputTokenCount, response.Usage.OutputTokenCount), (again.Usage!.InputTokenCount, again.Usage.OutputTokenCount));
        Assert.Equal((0, 16), (response.Usage.CachedInputTokenCount, again.Usage.CachedInputTokenCount)); // whole blocks
    }

    [Fact]
    public async Task Each_call_comes_whole_with_an_id_of_its_own()
    {
        using var scripted = new ScriptedEngine(_ => $"Two calls.\n{Call(1, "French")}\n{Call(2, "German")}");
        var updates = await Updates(scripted.Client, ScriptedEngine.Greedy(spell));
        var calls = updates.SelectMany(u => u.Contents).OfType<FunctionCallContent>().ToList();
        Assert.Equal(["French", "German"], calls.Select(c => ((JsonElement)c.Arguments!["language"]!).GetString()));
        Assert.Equal([1, 2], calls.Select(c => ((JsonElement)c.Arguments!["number"]!).GetInt32()));
        Assert.All(calls, c => Assert.True(c is { Name: "spell_number", Exception: null } && c.CallId.Length > 0));
        Assert.NotEqual(calls[0].CallId, calls[1].CallId);
        Assert.Equal("Two calls.", string.Concat(updates.Select(u => u.Text)));
        Assert.Equal(ChatFinishReason.ToolCalls, updates[^2].FinishReason);
    }

    [Fact]
    public async Task Of_an_argument_that_comes_twice_the_last_value_counts()
    {
        using var scripted = new ScriptedEngine(_ => "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1, \"x\": 2}}\n</tool_call>");
        var response = await scripted.Client.GetResponseAsync(Question, ScriptedEngine.Greedy(spell));
        Assert.Equal("2", $"{Assert.IsType<FunctionCallContent>(Assert.Single(response.Messages[0].Contents)).Arguments!["x"]}");
    }

    [Fact]
    public async Task Only_one_call_comes_where_only_one_is_allowed()
    {
        using var scripted = new ScriptedEngine(_ => $"{Call(1, "French")}\n{Call(2, "German")}");
        var options = ScriptedEngine.Greedy(spell);
        options.AllowMultipleToolCalls = false;
        var updates = await Updates(scripted.Client, options);
        Assert.Equal("1", $"{Assert.Single(updates.SelectMany(u => u.Contents).OfType<FunctionCallContent>()).Arguments!["number"]}");
        Assert.Equal((ChatFinishReason.ToolCalls, ""), (updates[^2].FinishReason, string.Concat(updates.Select(u => u.Text))));
        options.AllowMultipleToolCalls = true;
        Assert.Equal(2, (await Updates(scripted.Client, options)).SelectMany(u => u.Contents).OfType<FunctionCallContent>().Count());
    }

    [Theory]
    [InlineData(null, "<tool_call>\n")]
    [InlineData("spell_number", "<tool_call>\n{\"name\": \"spell_number\", \"arguments\":")]
    public async Task A_required_call_is_the_answers_beginning(string? name, string prefix)
    {
        // It calls where it has begun to, and would rather talk.
        using var scripted = new ScriptedEngine((_, generated) =>
            generated.StartsWith(prefix, StringComparison.Ordinal) ? Call(7, "French") : "I had rather talk.");
        var options = ScriptedEngine.Greedy(spell);
        Assert.Equal("I had rather talk.", (await scripted.Client.GetResponseAsync(Question, options)).Text);
        options.ToolMode = name is null ? ChatToolMode.RequireAny : ChatToolMode.RequireSpecific(name);
        var response = await scripted.Client.GetResponseAsync(Question, options);
        var call = Assert.IsType<FunctionCallContent>(Assert.Single(response.Messages[0].Contents));
        Assert.Equal(("spell_number", "7", ChatFinishReason.ToolCalls), (call.Name, $"{call.Arguments!["number"]}", response.FinishReason));
        Assert.EndsWith("<think>\n\n</think>\n\n", scripted.Prompts[^1]); // thinking is off
    }

    [Fact]
    public async Task What_is_no_call_stays_text()
    {
        using var scripted = new ScriptedEngine(_ => "<tool_call>\nno JSON\n</tool_call>");
        var response = await scripted.Client.GetResponseAsync(Question, ScriptedEngine.Greedy(spell));
        Assert.Equal(("<tool_call>\nno JSON\n</tool_call>", ChatFinishReason.Stop), (response.Text, response.FinishReason));
        response = await scripted.Client.GetResponseAsync(Question, ScriptedEngine.Greedy());
        Assert.Equal("<tool_call>\nno JSON\n</tool_call>", response.Text); // and so it is without tools
    }

    [Fact]
    public async Task An_answer_that_is_cut_says_so()
    {
        using var scripted = new ScriptedEngine((_, generated) => generated + "more and more", context: 128);
        var options = ScriptedEngine.Greedy();
        options.MaxOutputTokens = 3;
        var response = await scripted.Client.GetResponseAsync(Question, options);
        Assert.Equal((ChatFinishReason.Length, 3), (response.FinishReason, response.Usage!.OutputTokenCount));
        options.MaxOutputTokens = null;
        response = await scripted.Client.GetResponseAsync(Question, options);
        Assert.Equal((ChatFinishReason.Length, 129), (response.FinishReason, response.Usage!.TotalTokenCount)); // the last token needs no place
    }

    [Fact]
    public async Task Cancelling_throws()
    {
        using var scripted = new ScriptedEngine((_, generated) => generated + "more and more");
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var update in scripted.Client.GetStreamingResponseAsync(Question, ScriptedEngine.Greedy(), stop.Token)) stop.Cancel();
        });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => scripted.Client.GetResponseAsync(Question, ScriptedEngine.Greedy(), stop.Token));
        using var later = new CancellationTokenSource();
        var running = scripted.Client.GetResponseAsync(Question, ScriptedEngine.Greedy(), later.Token);
        later.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    [Fact]
    public async Task Leaving_early_ends_the_answer_and_an_engine_that_goes_ends_all()
    {
        using var scripted = new ScriptedEngine((_, generated) => generated + "more and more");
        await foreach (var update in scripted.Client.GetStreamingResponseAsync(Question, ScriptedEngine.Greedy())) break;
        await Assert.ThrowsAsync<ObjectDisposedException>(async () =>
        {
            await foreach (var update in scripted.Client.GetStreamingResponseAsync(Question, ScriptedEngine.Greedy())) scripted.Engine.Dispose();
        });
        await Assert.ThrowsAsync<ObjectDisposedException>(() => scripted.Client.GetResponseAsync(Question));
    }

    [Fact]
    public async Task Services_are_the_metadata_the_engine_and_the_client()
    {
        using var scripted = new ScriptedEngine(_ => "yes");
        IChatClient client = scripted.Client;
        var metadata = client.GetRequiredService<ChatClientMetadata>();
        Assert.Equal(("tessera", "numbers-dense", null), (metadata.ProviderName, metadata.DefaultModelId, metadata.ProviderUri));
        Assert.Same(scripted.Engine, client.GetService<Engine>());
        Assert.Same(client, client.GetService<TesseraChatClient>());
        Assert.Same(client, client.GetService<IChatClient>());
        Assert.Null(client.GetService<string>());
        foreach (var type in new[] { typeof(ChatClientMetadata), typeof(Engine), typeof(IChatClient) }) Assert.Null(client.GetService(type, "key"));
        Assert.Throws<ArgumentNullException>("serviceType", () => client.GetService(null!));
        client.Dispose();                                    // the engine is not its own
        Assert.Equal("yes", (await client.GetResponseAsync(Question, ScriptedEngine.Greedy())).Text);
    }

    [Fact]
    public async Task Wrong_arguments_are_one_error_each()
    {
        using var scripted = new ScriptedEngine(_ => "yes");
        Assert.Throws<ArgumentNullException>("engine", () => new TesseraChatClient(null!));
        Assert.Throws<ArgumentNullException>("messages", () => { scripted.Client.GetStreamingResponseAsync(null!); });
        await Assert.ThrowsAsync<ArgumentNullException>("messages", () => scripted.Client.GetResponseAsync((IEnumerable<AIMessage>)null!));
        var e = await Assert.ThrowsAsync<ContextFullException>(() => scripted.Client.GetResponseAsync(string.Concat(Enumerable.Repeat(Question, 2000))));
        Assert.DoesNotContain('\n', e.Message);
    }
}
