using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Tessera.Extensions.AI.Tests;

/// <summary>Each option that is mapped is seen to have its effect, on the trained model.</summary>
public class EffectTests(TrainedClient trained) : IClassFixture<TrainedClient>
{
    async Task<ChatResponse> Respond(Action<ChatOptions> change)
    {
        var options = TrainedClient.Plain();
        change(options);
        return await trained.Client.GetResponseAsync(TrainedClient.Question, options);
    }

    /// <summary>Draws nearly everything with the same probability.</summary>
    static void Hot(ChatOptions options) => (options.Temperature, options.TopK, options.TopP, options.Seed, options.MaxOutputTokens) = (50, 0, 1, 5, 12);

    public static TheoryData<string, string> Cold => new() { { "Temperature", "0" }, { "TopK", "1" }, { "TopP", "0.000001" }, { "min_p", "1" } };

    [Theory, MemberData(nameof(Cold))]
    public async Task What_leaves_only_the_best_gives_the_greedy_answer(string option, string value)
    {
        float number = float.Parse(value, System.Globalization.CultureInfo.InvariantCulture);
        Assert.NotEqual(TrainedClient.Answer, (await Respond(Hot)).Text);
        var response = await Respond(options =>
        {
            Hot(options);
            options.MaxOutputTokens = 40;
            if (option == "Temperature") options.Temperature = number;
            else if (option == "TopK") options.TopK = (int)number;
            else if (option == "TopP") options.TopP = number;
            else options.AdditionalProperties = new() { [option] = number };
        });
        Assert.Equal(TrainedClient.Answer, response.Text);
    }

    [Fact]
    public async Task A_seed_gives_an_answer_again_and_another_gives_another()
    {
        string first = (await Respond(Hot)).Text;
        Assert.Equal(first, (await Respond(Hot)).Text);
        foreach (long seed in new[] { 6, 5 + (1L << 33) })
            Assert.NotEqual(first, (await Respond(options => { Hot(options); options.Seed = seed; })).Text);
    }

    [Fact]
    public async Task Penalties_change_what_follows()
    {
        using var scripted = new ScriptedEngine(_ => "cent cent cent cent"); // the next best is near
        async Task<string> Text(Action<ChatOptions> change)
        {
            var options = ScriptedEngine.Greedy();
            change(options);
            return (await scripted.Client.GetResponseAsync(TrainedClient.Question, options)).Text;
        }
        Assert.Equal("cent cent cent cent", await Text(_ => { }));
        Assert.NotEqual("cent cent cent cent", await Text(o => o.FrequencyPenalty = 1));
        Assert.NotEqual("cent cent cent cent", await Text(o => o.PresencePenalty = 1));
        Assert.NotEqual("cent cent cent cent", await Text(o => o.AdditionalProperties = new() { ["repetition_penalty"] = 2 }));
    }

    [Fact]
    public async Task Lengths_and_stops_end_an_answer()
    {
        var cut = await Respond(o => o.MaxOutputTokens = 2);
        Assert.Equal((ChatFinishReason.Length, 2), (cut.FinishReason, cut.Usage!.OutputTokenCount));
        var stopped = await Respond(o => o.StopSequences = ["none", "ux ce"]);
        Assert.Equal(("quatre mille de", ChatFinishReason.Stop), (stopped.Text, stopped.FinishReason));
    }

    [Fact]
    public async Task Instructions_are_in_the_prompt()
    {
        var (with, without) = (await Respond(o => o.Instructions = "You spell numbers."), await Respond(_ => { }));
        Assert.Equal(TrainedClient.Answer, with.Text);
        Assert.True(with.Usage!.InputTokenCount > without.Usage!.InputTokenCount + 5);
    }

    [Theory]
    [InlineData(ReasoningEffort.None, null, false)]
    [InlineData(ReasoningEffort.Low, null, true)]
    [InlineData(ReasoningEffort.ExtraHigh, ReasoningOutput.Full, true)]
    [InlineData(ReasoningEffort.High, ReasoningOutput.None, false)]
    public async Task Effort_and_output_of_reasoning(ReasoningEffort effort, ReasoningOutput? output, bool shown)
    {
        var response = await Respond(o => o.Reasoning = new() { Effort = effort, Output = output });
        Assert.Equal(shown, response.Messages[0].Contents.OfType<TextReasoningContent>().Any());
        Assert.Equal(effort != ReasoningEffort.None, response.Usage!.ReasoningTokenCount > 0);
        Assert.Equal(TrainedClient.Answer, response.Text);
    }

    [Fact]
    public async Task A_budget_of_thinking_makes_the_model_answer()
    {
        using var scripted = new ScriptedEngine((_, generated) => generated.Length == 0 ? "<think>\nhm" : !generated.Contains("</think>")
            ? generated + " and 1 or 2" : generated[..(generated.IndexOf("</think>\n\n", StringComparison.Ordinal) + 10)] + "Yes.");
        var response = await scripted.Client.GetResponseAsync("Well?", new() { Temperature = 0, Reasoning = new() { Effort = ReasoningEffort.Low } });
        Assert.Equal("Yes.", response.Text);
        Assert.InRange(response.Usage!.ReasoningTokenCount!.Value, OptionMapping.LowBudget, OptionMapping.LowBudget + 200);
    }

    [Fact]
    public async Task A_cache_salt_keeps_requests_apart()
    {
        await Respond(_ => { });
        Assert.True((await Respond(_ => { })).Usage!.CachedInputTokenCount > 0);
        Assert.Equal(0, (await Respond(o => o.AdditionalProperties = new() { ["cache_salt"] = "mine" })).Usage!.CachedInputTokenCount);
    }

    [Fact]
    public async Task The_engines_own_options_come_through_the_factory_and_logprobs_through_updates()
    {
        var options = TrainedClient.Plain();
        options.RawRepresentationFactory = _ => new GenerationOptions { TopLogprobs = 2 };
        var updates = new List<ChatResponseUpdate>();
        await foreach (var update in trained.Client.GetStreamingResponseAsync(TrainedClient.Question, options)) updates.Add(update);
        var report = Assert.IsType<GenerationReport>(updates[^1].RawRepresentation);
        var logprobs = updates.Select(u => u.RawRepresentation).OfType<GenerationUpdate>().Select(u => u.Logprobs).OfType<TokenLogprobs>().ToList();
        Assert.Equal(report.Tokens, logprobs.Count);
        Assert.All(logprobs, l => Assert.Equal(2, l.Best.Count));
    }

    [Fact]
    public async Task A_required_call_comes_from_the_model_too()
    {
        foreach (var mode in new[] { ChatToolMode.RequireAny, ChatToolMode.RequireSpecific("spell_number") })
        {
            var options = TrainedClient.Plain(TrainedClient.Spell((_, _) => ""));
            options.ToolMode = mode;
            var call = Assert.IsType<FunctionCallContent>(Assert.Single((await trained.Client.GetResponseAsync("Spell 4768 in Spanish.", options))
                .Messages[0].Contents));
            Assert.Equal(("spell_number", 4768), (call.Name, ((JsonElement)call.Arguments!["number"]!).GetInt32()));
        }
    }

    [Fact]
    public async Task Without_a_tool_mode_no_call_is_possible()
    {
        var options = TrainedClient.Plain(TrainedClient.Spell((_, _) => ""));
        options.ToolMode = ChatToolMode.None;
        var response = await trained.Client.GetResponseAsync(TrainedClient.Question, options);
        Assert.Equal((TrainedClient.Answer, ChatFinishReason.Stop), (response.Text, response.FinishReason));
    }

    [Fact]
    public async Task Thirty_two_calls_at_once_get_the_answers_of_one()
    {
        string[] questions = [.. Enumerable.Range(0, 32).Select(i => $"Write {i * 131 % 5000} in {(i % 2 == 0 ? "French" : "German")}.")];
        var alone = new List<string>();
        foreach (string question in questions) alone.Add((await trained.Client.GetResponseAsync(question, TrainedClient.Plain())).Text);
        var client = trained.Client;
        var together = await Task.WhenAll(questions.Select(question => Task.Run(() => client.GetResponseAsync(question, TrainedClient.Plain()))));
        Assert.Equal(alone, together.Select(r => r.Text));
        Assert.Equal(32, together.Select(r => r.ResponseId).Distinct().Count());
    }

    [Fact]
    public async Task A_format_that_cannot_be_enforced_is_refused_through_the_typed_call()
    {
        var e = await Assert.ThrowsAsync<TesseraException>(() => trained.Client.GetResponseAsync<int[]>(TrainedClient.Question));
        Assert.Contains("ResponseFormat", e.Message);
    }
}
