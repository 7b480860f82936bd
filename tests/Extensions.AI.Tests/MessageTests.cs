using System.Text.Json;
using Microsoft.Extensions.AI;
using Tessera.Testing;

namespace Tessera.Extensions.AI.Tests;

/// <summary>Conversations reach the template as their authors meant them, and what no turn can hold is refused.</summary>
public class MessageTests
{
    static List<Tessera.ChatMessage> Turns(params AIMessage[] messages) => MessageMapping.Turns(messages, null);

    static readonly List<JsonElement> goldens = [.. JsonElement.Parse(File.ReadAllText(Repository.Golden("models/numbers-dense/chat.json"))).EnumerateArray()];

    /// <summary>A golden conversation as a .NET program would hold it.</summary>
    static List<AIMessage> Messages(JsonElement golden)
    {
        var messages = new List<AIMessage>();
        int calls = 0, results = 0;
        foreach (var one in golden.GetProperty("messages").EnumerateArray())
        {
            string role = one.GetProperty("role").GetString()!;
            string? text = one.TryGetProperty("content", out var content) ? content.GetString() : null;
            var message = new AIMessage(new ChatRole(role), new List<AIContent>());
            if (one.TryGetProperty("reasoning_content", out var reasoning)) message.Contents.Add(new TextReasoningContent(reasoning.GetString()));
            if (role == "tool") message.Contents.Add(new FunctionResultContent($"{results++}", text));
            else if (!string.IsNullOrEmpty(text)) message.Contents.Add(new TextContent(text));
            foreach (var call in one.TryGetProperty("tool_calls", out var list) ? list.EnumerateArray().ToList() : [])
                message.Contents.Add(new FunctionCallContent($"{calls++}", call.GetProperty("function").GetProperty("name").GetString()!,
                    call.GetProperty("function").GetProperty("arguments").EnumerateObject().ToDictionary(a => a.Name, a => (object?)a.Value)));
            messages.Add(message);
        }
        return messages;
    }

    [Fact]
    public void The_goldens_conversations_give_the_goldens_prompts()
    {
        using var scripted = new ScriptedEngine(_ => "");
        foreach (var golden in goldens)
        {
            var options = golden.GetProperty("options");
            AITool[] tools = options.TryGetProperty("tools", out var list) && list.ValueKind == JsonValueKind.Array ? [.. list.EnumerateArray()
                .Select(t => t.GetProperty("function")).Select(f => AIFunctionFactory.CreateDeclaration(f.GetProperty("name").GetString()!,
                    f.GetProperty("description").GetString(), f.GetProperty("parameters")))] : [];
            bool? thinking = options.TryGetProperty("enable_thinking", out var thinks) ? thinks.GetBoolean() : null;
            var mapped = OptionMapping.Generation(new() { Tools = tools }, scripted.Client, "numbers-dense");
            var turns = MessageMapping.Turns(Messages(golden), null);
            var prompt = scripted.Engine.Template!.Render(turns, new PromptOptions { Tools = mapped.Tools, Thinking = thinking });
            Assert.Equal(golden.GetProperty("prompt").GetString(), prompt.Value);
        }
    }

    [Fact]
    public void Parallel_calls_keep_their_results_whoever_was_first()
    {
        var turns = Turns(new AIMessage(ChatRole.User, "both"),
            new AIMessage(ChatRole.Assistant, [new TextReasoningContent("two"), new TextContent("Now."), Call("a", 1), Call("b", 2)]),
            new AIMessage(ChatRole.Tool, [new FunctionResultContent("b", "second")]), new AIMessage(ChatRole.Tool, [new FunctionResultContent("a", "first")]),
            new AIMessage(ChatRole.User, "and?"));
        Assert.Equal(["user", "assistant", "tool", "tool", "user"], turns.Select(t => t.Role));
        Assert.Equal(("Now.", "two"), (turns[1].Content, turns[1].Reasoning));
        Assert.Equal(["""{"id":"a","name":"f","arguments":{"x":1}}""", """{"id":"b","name":"f","arguments":{"x":2}}"""], turns[1].ToolCalls.Select(Compact));
        Assert.Equal([("first", "a", "f"), ("second", "b", "f")], turns.Skip(2).Take(2).Select(t => (t.Content, t.ToolCallId, t.Name)));
        Assert.Equal(["first", "second"], Turns(new AIMessage(ChatRole.Assistant, [Call("a", 1), Call("b", 2)]),
            new AIMessage(ChatRole.Tool, [new FunctionResultContent("b", "second"), new FunctionResultContent("a", "first")])).Skip(1).Select(t => t.Content));
    }

    static FunctionCallContent Call(string id, int x) => new(id, "f", new Dictionary<string, object?> { ["x"] = x });

    static string Compact(JsonElement json) => JsonSerializer.Serialize(json);

    [Fact]
    public void Results_are_text_or_JSON()
    {
        string? Of(object? result) => Turns(new AIMessage(ChatRole.Tool, [new FunctionResultContent("1", result)]))[0].Content;
        Assert.Equal("plain", Of("plain"));
        Assert.Equal("plain", Of(JsonElement.Parse("\"plain\"")));
        Assert.Equal("{\"größe\":1}", Of(JsonElement.Parse("{ \"größe\": 1 }")));
        Assert.Equal("42", Of(42));
        Assert.Equal("null", Of(null));
        Assert.Equal("[\"a\",\"b\"]", Of(new[] { "a", "b" }));
        Assert.Equal("{\"a\":1}", Of(new Dictionary<string, object?> { ["a"] = 1 }));
        Assert.Equal("ab", Of(new List<AIContent> { new TextContent("a"), new TextContent("b") }));
        Assert.Contains("DataContent", Assert.Throws<TesseraException>(() => Of(new DataContent(new byte[1], "image/png"))).Message);
        Assert.Contains("JSON", Assert.Throws<TesseraException>(() => Of(new Action(() => { }))).Message);
    }

    [Fact]
    public void Instructions_and_the_systems_turn_are_one()
    {
        var user = new AIMessage(ChatRole.User, "hi");
        Assert.Equal([("system", "Be brief."), ("user", "hi")], MessageMapping.Turns([user], "Be brief.").Select(t => (t.Role, t.Content!)));
        Assert.Equal([("system", "Be brief.\n\nBe kind."), ("user", "hi")],
            MessageMapping.Turns([new(ChatRole.System, "Be kind."), user], "Be brief.").Select(t => (t.Role, t.Content!)));
        Assert.Equal([("user", "hi")], MessageMapping.Turns([user], "").Select(t => (t.Role, t.Content!)));
    }

    [Fact]
    public void An_answer_goes_back_into_the_conversation_as_it_came()
    {
        var turns = Turns(new AIMessage(ChatRole.User, [new TextContent("a"), new TextContent("b")]) { AuthorName = "Ann" },
            new AIMessage(ChatRole.Assistant, [new TextReasoningContent("hm"), new TextContent("yes"), new UsageContent(new() { InputTokenCount = 3 })]));
        Assert.Equal([("ab", null, "Ann"), ("yes", "hm", null)], turns.Select(t => (t.Content!, t.Reasoning, t.Name)));
    }

    public static TheoryData<string, AIContent?, string> Foreign => new()
    {
        { "user", new DataContent(new byte[1], "image/png"), "DataContent (image/png)" },
        { "user", new UriContent("http://a/b.wav", "audio/wav"), "(audio/wav)" },
        { "user", new HostedFileContent("file"), "HostedFileContent" }, { "user", new FunctionCallContent("1", "f"), "FunctionCallContent" },
        { "system", new TextReasoningContent("hm"), "TextReasoningContent" }, { "assistant", new FunctionResultContent("1", "x"), "FunctionResultContent" },
        { "assistant", new ErrorContent("oh"), "ErrorContent" }, { "user", null, "null" }, { "developer", new TextContent("x"), "'developer'" },
    };

    [Theory, MemberData(nameof(Foreign))]
    public void What_no_turn_can_hold_is_refused_by_name(string role, AIContent? content, string name)
    {
        var e = Assert.Throws<TesseraException>(() => Turns(new AIMessage(new ChatRole(role), [content!])));
        Assert.Contains(name, e.Message);
        Assert.Contains("null", Assert.Throws<TesseraException>(() => Turns([null!])).Message);
    }
}
