using Microsoft.Extensions.AI;

namespace Tessera.Extensions.AI.Tests;

/// <summary>Functions that the middleware calls for the model, and gives back to it.</summary>
public class FunctionTests(TrainedClient trained) : IClassFixture<TrainedClient>
{
    static string Call(string name, string arguments) => $"<tool_call>\n{{\"name\": \"{name}\", \"arguments\": {arguments}}}\n</tool_call>";

    static IChatClient Invoking(IChatClient client, Action<FunctionInvokingChatClient>? configure = null) =>
        client.AsBuilder().UseFunctionInvocation(configure: configure).Build();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_trained_models_call_is_executed_and_its_result_is_the_answer(bool streams)
    {
        var called = new List<(int, string)>();
        var options = TrainedClient.Plain(TrainedClient.Spell((number, language) =>
        {
            called.Add((number, language));
            return "quatro mil seiscentos e um";
        }));
        var client = Invoking(trained.Client);
        var response = streams ? await client.GetStreamingResponseAsync("How do you say 4601 in Portuguese?", options).ToChatResponseAsync()
            : await client.GetResponseAsync("How do you say 4601 in Portuguese?", options);
        Assert.Equal((4601, "Portuguese"), Assert.Single(called));
        Assert.EndsWith("quatro mil seiscentos e um", response.Messages[^1].Text.TrimEnd('.'));
        Assert.Equal([ChatRole.Assistant, ChatRole.Tool, ChatRole.Assistant], response.Messages.Select(m => m.Role));
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        Assert.True(response.Usage!.CachedInputTokenCount > 16); // the second request begins like the first
    }

    [Fact]
    public async Task Parallel_calls_are_made_and_their_results_come_back_in_order()
    {
        using var scripted = new ScriptedEngine(prompt => prompt.Contains("<tool_response>")
            ? "Done." : $"{Call("f", "{\"x\": 1}")}\n{Call("f", "{\"x\": 2}")}");
        var tool = AIFunctionFactory.Create(async (int x) =>
        {
            if (x == 1) await Task.Delay(30);                // the second is there first
            return $"result {x}";
        }, "f");
        var response = await Invoking(scripted.Client, c => c.AllowConcurrentInvocation = true).GetResponseAsync("Both.", ScriptedEngine.Greedy(tool));
        Assert.Equal("Done.", response.Text);
        Assert.Contains("<tool_response>\nresult 1\n</tool_response>\n<tool_response>\nresult 2\n</tool_response>", scripted.Prompts[^1]);
    }

    [Fact]
    public async Task Calls_follow_calls_until_there_is_an_answer()
    {
        using var scripted = new ScriptedEngine(prompt => prompt.Split("<tool_response>\n").Length is var results and < 4
            ? Call("next", $"{{\"step\": {results}}}") : "That was three.");
        var steps = new List<int>();
        var tool = AIFunctionFactory.Create((int step) => { steps.Add(step); return step; }, "next");
        var response = await Invoking(scripted.Client).GetResponseAsync("Count.", ScriptedEngine.Greedy(tool));
        Assert.Equal([1, 2, 3], steps);
        Assert.Equal("That was three.", response.Messages[^1].Text);
        Assert.Equal(4, scripted.Prompts.Length);
        Assert.Equal(3, response.Messages.SelectMany(m => m.Contents).OfType<FunctionCallContent>().Select(c => c.CallId).Distinct().Count());
    }

    [Fact]
    public async Task A_required_call_is_required_once()
    {
        using var scripted = new ScriptedEngine(prompt => prompt.Contains("<tool_response>") ? "Fine." : Call("f", "{}"));
        var options = ScriptedEngine.Greedy(AIFunctionFactory.Create(() => "ok", "f"));
        options.ToolMode = ChatToolMode.RequireSpecific("f");
        var response = await Invoking(scripted.Client).GetResponseAsync("Do it.", options);
        Assert.Equal("Fine.", response.Text);
    }

    [Fact]
    public async Task A_function_that_throws_is_told_to_the_model()
    {
        using var scripted = new ScriptedEngine(prompt => prompt.Contains("<tool_response>\nError: Function failed.") ? "It failed." : Call("f", "{}"));
        var tool = AIFunctionFactory.Create(string () => throw new InvalidOperationException("no"), "f");
        Assert.Equal("It failed.", (await Invoking(scripted.Client).GetResponseAsync("Do it.", ScriptedEngine.Greedy(tool))).Text);
    }

    [Fact]
    public async Task A_function_that_is_only_declared_is_the_callers()
    {
        using var scripted = new ScriptedEngine(_ => Call("f", "{\"x\": 1}"));
        var declared = AIFunctionFactory.CreateDeclaration("f", "Declared.", System.Text.Json.JsonElement.Parse("""{"type":"object"}"""));
        var response = await Invoking(scripted.Client).GetResponseAsync("Do it.", ScriptedEngine.Greedy(declared));
        Assert.Equal("f", Assert.Single(response.Messages.SelectMany(m => m.Contents).OfType<FunctionCallContent>()).Name);
        Assert.Equal(ChatFinishReason.ToolCalls, response.FinishReason);
    }

    [Fact]
    public async Task Thinking_before_a_call_stays_with_it()
    {
        using var scripted = new ScriptedEngine(prompt => prompt.Contains("<tool_response>") ? "<think>\nwell\n</think>\n\nFine."
            : $"<think>\nI must look\n</think>\n\n{Call("f", "{}")}");
        var response = await Invoking(scripted.Client).GetResponseAsync("Do it.", ScriptedEngine.Greedy(AIFunctionFactory.Create(() => "ok", "f")));
        Assert.Equal("Fine.", response.Text);
        Assert.Contains("<think>\nI must look\n</think>\n\n<tool_call>", scripted.Prompts[^1]); // templates keep it within a turn
    }
}
