using System.Text.Json;
using Microsoft.Extensions.AI;

#pragma warning disable MEAI001 // what is experimental is refused, and seen to be

namespace Tessera.Extensions.AI.Tests;

/// <summary>Every property of chat options is mapped or refused by its name, none is ignored.</summary>
public class OptionTests
{
    static readonly AITool spell = AIFunctionFactory.Create((int number, string language) => $"{number} in {language}", "spell_number", "Spells a number.");

    static GenerationOptions Map(ChatOptions options) => OptionMapping.Generation(options, new Nobody(), "numbers-dense");

    static GenerationOptions More(string key, object? value) => Map(new() { AdditionalProperties = new() { [key] = value } });

    /// <summary>Each property with what is seen of it here; what a new version of the package brings has no line, and fails.</summary>
    static readonly Dictionary<string, Func<bool>> table = new()
    {
        ["Instructions"] = () => MessageMapping.Turns([new(ChatRole.User, "hi")], "Be brief.")[0] is { Role: "system", Content: "Be brief." },
        ["Temperature"] = () => Map(new() { Temperature = 0.25f }).Sampling.Temperature == 0.25f,
        ["TopP"] = () => Map(new() { TopP = 0.5f }).Sampling.TopP == 0.5f,
        ["TopK"] = () => Map(new() { TopK = 7 }).Sampling.TopK == 7,
        ["FrequencyPenalty"] = () => Map(new() { FrequencyPenalty = 0.5f }).Sampling.FrequencyPenalty == 0.5f,
        ["PresencePenalty"] = () => Map(new() { PresencePenalty = 1.5f }).Sampling.PresencePenalty == 1.5f,
        ["Seed"] = () => Map(new() { Seed = -5 }).Sampling.Seed == -5
            && Map(new() { Seed = 1L << 40 }).Sampling.Seed is { } folded && folded != Map(new() { Seed = 1L << 41 }).Sampling.Seed,
        ["MaxOutputTokens"] = () => Map(new() { MaxOutputTokens = 9 }).MaxTokens == 9 && Refused(new() { MaxOutputTokens = 0 }, "MaxOutputTokens"),
        ["StopSequences"] = () => Map(new() { StopSequences = ["a", "b"] }).StopStrings is ["a", "b"],
        ["Reasoning"] = () => Map(new() { Reasoning = new() { Effort = ReasoningEffort.None } }) is { Thinking: false, ThinkingBudget: null }
            && Map(new() { Reasoning = new() { Effort = ReasoningEffort.Low } }) is { Thinking: true, ThinkingBudget: OptionMapping.LowBudget }
            && Map(new() { Reasoning = new() { Effort = ReasoningEffort.Medium } }) is { Thinking: true, ThinkingBudget: OptionMapping.MediumBudget }
            && Map(new() { Reasoning = new() { Effort = ReasoningEffort.High } }) is { Thinking: true, ThinkingBudget: OptionMapping.HighBudget }
            && Map(new() { Reasoning = new() { Effort = ReasoningEffort.ExtraHigh } }) is { Thinking: true, ThinkingBudget: null }
            && Map(new() { Reasoning = new() { Output = ReasoningOutput.Full } }) is { Thinking: null, ThinkingBudget: null }
            && Refused(new() { Reasoning = new() { Output = ReasoningOutput.Summary } }, "Reasoning.Output")
            && Refused(new() { Reasoning = new() { Effort = (ReasoningEffort)77 } }, "Reasoning.Effort"),
        ["Tools"] = () => Map(new() { Tools = [spell] }).Tools.Count == 1 && Refused(new() { Tools = [new HostedWebSearchTool()] }, "HostedWebSearchTool")
            && Refused(new() { Tools = [null!] }, "Tools"),
        ["ToolMode"] = () => Map(new() { Tools = [spell], ToolMode = ChatToolMode.None }).Tools.Count == 0
            && Map(new() { Tools = [spell], ToolMode = ChatToolMode.Auto }) is { Tools.Count: 1, Prefix: null, Thinking: null }
            && Map(new() { Tools = [spell], ToolMode = ChatToolMode.RequireAny }) is { Tools.Count: 1, Prefix: "<tool_call>\n", Thinking: false }
            && Refused(new() { ToolMode = ChatToolMode.RequireAny }, "ToolMode")
            && Refused(new() { Tools = [spell], ToolMode = ChatToolMode.RequireSpecific("add") }, "'add'")
            && Refused(new() { Tools = [spell], ToolMode = ChatToolMode.RequireAny, Reasoning = new() { Effort = ReasoningEffort.Low } }, "Reasoning.Effort")
            && Refused(new() { Tools = [spell], ToolMode = ChatToolMode.RequireAny, RawRepresentationFactory = _ => new GenerationOptions { Prefix = "x" } },
                "prefix"),
        ["AllowMultipleToolCalls"] = () => Map(new() { Tools = [spell], AllowMultipleToolCalls = false }).StopStrings is ["</tool_call>"]
            && Map(new() { Tools = [spell], AllowMultipleToolCalls = true }).StopStrings is []
            && Map(new() { AllowMultipleToolCalls = false }).StopStrings is [],
        ["ResponseFormat"] = () => Map(new() { ResponseFormat = ChatResponseFormat.Text }) is not null
            && Refused(new() { ResponseFormat = ChatResponseFormat.Json }, "ResponseFormat")
            && Refused(new() { ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse("{}")) }, "ResponseFormat"),
        ["ModelId"] = () => Map(new() { ModelId = "numbers-dense" }) is not null && Refused(new() { ModelId = "gpt" }, "ModelId"),
        ["ConversationId"] = () => Refused(new() { ConversationId = "1" }, "ConversationId"),
        ["ContinuationToken"] = () => Refused(new() { ContinuationToken = ResponseContinuationToken.FromBytes(new byte[1]) }, "ContinuationToken"),
        ["AllowBackgroundResponses"] = () => Refused(new() { AllowBackgroundResponses = true }, "AllowBackgroundResponses")
            && Map(new() { AllowBackgroundResponses = false }) is not null,
        ["AdditionalProperties"] = () => More("min_p", 0.5).Sampling.MinP == 0.5f && More("repetition_penalty", 1.5f).Sampling.RepetitionPenalty == 1.5f
            && More("cache_salt", "mine").CacheSalt == "mine" && More("priority", -3).Priority == -3 && More("somebody_elses", new object()) is not null,
        ["RawRepresentationFactory"] = () => Map(new() { RawRepresentationFactory = _ => new GenerationOptions { TopLogprobs = 3 } }).TopLogprobs == 3
            && Map(new() { RawRepresentationFactory = _ => null }) is not null
            && Refused(new() { RawRepresentationFactory = _ => "options" }, "RawRepresentationFactory")
            && Refused(new() { RawRepresentationFactory = _ => new GenerationOptions { Answers = 2 } }, "RawRepresentationFactory")
            && Refused(new() { RawRepresentationFactory = _ => new GenerationOptions { Sampling = null! } }, "RawRepresentationFactory"),
    };

    static bool Refused(ChatOptions options, string name)
    {
        var e = Assert.Throws<TesseraException>(() => Map(options));
        Assert.Contains(name, e.Message);
        Assert.DoesNotContain('\n', e.Message);
        return true;
    }

    public static TheoryData<string> Properties => [.. typeof(ChatOptions).GetProperties().Select(p => p.Name)];

    [Theory, MemberData(nameof(Properties))]
    public void Every_property_is_mapped_or_refused_by_name(string property)
    {
        Assert.True(table.TryGetValue(property, out var seen), $"{property} has no line in this test");
        Assert.True(seen());
    }

    [Fact]
    public void The_table_has_no_line_too_many() => Assert.Empty(table.Keys.Except(typeof(ChatOptions).GetProperties().Select(p => p.Name)));

    public static TheoryData<string, object, string> WrongTypes => new()
    {
        { "min_p", "0.5", "number" }, { "min_p", true, "number" }, { "repetition_penalty", JsonElement.Parse("\"1\""), "number" },
        { "priority", 1.5, "whole" }, { "priority", 1e12, "whole" }, { "priority", double.NaN, "whole" }, { "cache_salt", 1, "text" },
        { "cache_salt", JsonElement.Parse("{}"), "text" },
    };

    [Theory, MemberData(nameof(WrongTypes))]
    public void A_known_additional_property_of_another_type_is_refused(string key, object value, string expected)
    {
        var e = Assert.Throws<TesseraException>(() => More(key, value));
        Assert.Contains($"{key}: expected a {expected}", e.Message);
    }

    [Fact]
    public void Additional_properties_are_read_as_JSON_too()
    {
        Assert.Equal(0.25f, More("min_p", JsonElement.Parse("0.25")).Sampling.MinP);
        Assert.Equal(2f, More("repetition_penalty", 2).Sampling.RepetitionPenalty);
        Assert.Equal(-2, More("priority", JsonElement.Parse("-2")).Priority);
        Assert.Equal("s", More("cache_salt", JsonElement.Parse("\"s\"")).CacheSalt);
        Assert.Null(More("cache_salt", JsonElement.Parse("null")).CacheSalt);
        Assert.Null(More("min_p", null).Sampling.MinP);
    }

    [Fact]
    public void What_the_factory_gives_goes_before_the_other_properties_and_lists_are_joined()
    {
        var raw = new GenerationOptions
        {
            Sampling = new() { Temperature = 0.1f, Seed = 3, PresencePenalty = 1 }, MaxTokens = 5, Thinking = false, StopStrings = ["a"], CacheSalt = "raw",
            Priority = 2, Tools = [JsonElement.Parse("{}")], Timeout = TimeSpan.FromSeconds(1),
        };
        var mapped = Map(new()
        {
            Temperature = 0.9f, TopP = 0.5f, Seed = 4, PresencePenalty = 2, FrequencyPenalty = 1, MaxOutputTokens = 50, StopSequences = ["b"], Tools = [spell],
            Reasoning = new() { Effort = ReasoningEffort.High }, AdditionalProperties = new() { ["cache_salt"] = "other", ["priority"] = 9 },
            RawRepresentationFactory = client => client is Nobody ? raw : null,
        });
        Assert.Equal(raw.Sampling with { TopP = 0.5f, FrequencyPenalty = 1 }, mapped.Sampling);
        Assert.Equal((5, false, "raw", 2), (mapped.MaxTokens, mapped.Thinking, mapped.CacheSalt, mapped.Priority));
        Assert.Equal((raw.Timeout, 2), (mapped.Timeout, mapped.Tools.Count));
        Assert.Equal(["a", "b"], mapped.StopStrings);
    }

    [Fact]
    public void A_tool_is_described_as_the_template_has_it()
    {
        var tool = Assert.Single(Map(new() { Tools = [spell] }).Tools);
        Assert.Equal("function", tool.GetProperty("type").GetString());
        var function = tool.GetProperty("function");
        Assert.Equal(["name", "description", "parameters"], function.EnumerateObject().Select(p => p.Name));
        Assert.Equal(("spell_number", "Spells a number."), (function.GetProperty("name").GetString(), function.GetProperty("description").GetString()));
        Assert.Equal(["number", "language"], function.GetProperty("parameters").GetProperty("required").EnumerateArray().Select(r => r.GetString()));
        var declared = AIFunctionFactory.CreateDeclaration("add", null, JsonElement.Parse("""{"type":"object"}"""));
        Assert.Equal("""{"type":"function","function":{"name":"add","parameters":{"type":"object"}}}""",
            Map(new() { Tools = [declared] }).Tools[0].GetRawText());
    }

    /// <summary>A client that only has to be there.</summary>
    sealed class Nobody : IChatClient
    {
        public Task<ChatResponse> GetResponseAsync(IEnumerable<AIMessage> messages, ChatOptions? options, CancellationToken stop) =>
            throw new NotSupportedException();

        public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<AIMessage> messages, ChatOptions? options, CancellationToken stop) =>
            throw new NotSupportedException();

        public object? GetService(Type type, object? key) => null;

        public void Dispose() { }
    }
}
