using System.Text.Json;
using Tessera.Runtime.Tokens;
using Xunit;

namespace Tessera.Runtime.Tests.Tokens;

/// <summary>An answer taken apart: thinking, text, tool calls.</summary>
public class AnswerTests
{
    static (string Thinking, string Answer) Split(string prompt, string answer)
    {
        var tokenizer = TokenizerTests.All["qwen3"].Value;
        var thinking = new Thinking(tokenizer, tokenizer.Encode(prompt, added: true));
        var text = new TextStream(tokenizer);
        string inside = "", outside = "";
        foreach (int id in tokenizer.Encode(answer, added: true))
        {
            bool within = thinking.Inside;
            string piece = thinking.Marks(id) ? text.Flush() : thinking.Trim(text.Append(id));
            if (within) inside += piece;
            else outside += piece;
        }
        return (inside, outside);
    }

    [Fact]
    public void Thinking_is_split_from_the_answer()
    {
        Assert.Equal(("2 and 2\n", "4"), Split("<|im_start|>assistant\n", "<think>\n2 and 2\n</think>\n\n4"));
        Assert.Equal(("2 and 2\n", "4"), Split("<|im_start|>assistant\n<think>\n", "2 and 2\n</think>\n\n4")); // a prompt that opens it
        Assert.Equal(("", "4\n"), Split("<|im_start|>assistant\n<think>\n\n</think>\n\n", "4\n"));            // switched off
        Assert.Equal(("cut off", ""), Split("<|im_start|>assistant\n", "<think>\ncut off"));
    }

    [Fact]
    public void Tool_calls_are_found()
    {
        var (text, calls) = ToolCalls.Parse("I look.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": " +
            "[2]}}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": \"{}\"}\n</tool_call>");
        Assert.Equal("I look.", text);
        Assert.Equal(["add", "now"], calls.Select(c => c.Name));
        Assert.Equal(2, calls[0].Arguments.GetProperty("b")[0].GetInt32());
    }

    [Theory]
    [InlineData("<tool_call>\n{\"name\": \"add\"\n</tool_call>")]
    [InlineData("<tool_call>\n[1, 2]\n</tool_call>")]
    [InlineData("<tool_call>\n{\"name\": 4, \"arguments\": {}}\n</tool_call>")]
    [InlineData("<tool_call>\n{\"name\": \"add\", \"arguments\": 4}\n</tool_call>")]
    [InlineData("<tool_call>\n{\"name\": \"add\", \"arguments\": \"{\"}\n</tool_call>")]
    [InlineData("no call at all")]
    public void What_is_no_valid_call_stays_text(string answer)
    {
        var (text, calls) = ToolCalls.Parse(answer);
        Assert.Equal(answer, text);
        Assert.Empty(calls);
    }

    [Fact]
    public void A_call_that_was_cut_off_behind_its_braces_counts() =>
        Assert.Single(ToolCalls.Parse("<tool_call>\n{\"name\": \"now\", \"arguments\": {}}").Calls);

    [Theory]
    [InlineData("\\ud83d", "\ufffd")]
    [InlineData("\\uDE00x", "\ufffdx")]
    [InlineData("\\ud83d\\ud83d\\ude00", "\ufffd\U0001f600")]
    [InlineData("\\\\ud83d", "\\ud83d")]
    public void Half_a_character_in_a_call_becomes_the_replacement_character(string written, string read)
    {
        var call = Assert.Single(ToolCalls.Parse($"<tool_call>{{\"name\": \"{written}\", \"arguments\": {{\"{written}\": \"{written}\"}}}}</tool_call>").Calls);
        Assert.Equal(read, call.Name);
        Assert.Equal(read, call.Arguments.GetProperty(read).GetString());
        string inner = JsonSerializer.Serialize($"{{\"a\": \"{written}\"}}");
        call = Assert.Single(ToolCalls.Parse($"<tool_call>{{\"name\": \"f\", \"arguments\": {inner}}}</tool_call>").Calls);
        Assert.Equal(read, call.Arguments.GetProperty("a").GetString());
    }

    [Fact]
    public void Half_a_character_in_an_answer_breaks_no_call()
    {
        var (text, calls) = ToolCalls.Parse("\ud83d<tool_call>{\"name\": \"a\ud83d\", \"arguments\": {\"a\": \"\ude00\"}}</tool_call>");
        Assert.Equal("\ud83d", text);
        Assert.Equal(("a\ufffd", "\ufffd"), (calls[0].Name, calls[0].Arguments.GetProperty("a").GetString()));
    }

    [Fact]
    public void Half_a_character_in_JSON_becomes_the_replacement_character()
    {
        const string Half = "{\"role\": \"\\ud800\", \"con\\u0074ent\": \"a\\ud83d\\n\", \"reasoning_content\": \"\\ude00\", \"\\ud800\": \"\\udc00\", " +
            "\"tool_calls\": [{\"\\udfff\": \"\\ud800\"}]}";
        using var json = JsonDocument.Parse($"[{Half}]");
        var message = Assert.Single(ChatMessages.FromJson(json.RootElement));
        Assert.Equal(("\ufffd", "a\ufffd\n", "\ufffd"), (message.Role, message.Content, message.Reasoning));
        var template = new ChatTemplate("{{ messages[0].tool_calls[0] | tojson }}{{ tools[0] | tojson }}");
        var text = template.Render([message], new PromptOptions { Tools = [json.RootElement[0]] });
        Assert.Equal("{\"\ufffd\": \"\ufffd\"}{\"role\": \"\ufffd\", \"content\": \"a\ufffd\\n\", \"reasoning_content\": \"\ufffd\", \"\ufffd\": " +
            "\"\ufffd\", \"tool_calls\": [{\"\ufffd\": \"\ufffd\"}]}", text.Value);
        using var bytes = JsonDocument.Parse("[{\"role\": \"user\", \"content\": \"a?\"}]"u8.ToArray().Select(b => b == (byte)'?' ? (byte)0xff : b).ToArray());
        Assert.Equal("a\ufffd", ChatMessages.FromJson(bytes.RootElement)[0].Content);
    }

    [Fact]
    public void What_is_null_or_of_the_wrong_kind_is_refused_in_one_line()
    {
        var template = new ChatTemplate("{{ messages[0].role }}");
        ChatMessage good = new("user", "Hi");
        static JsonElement Disposed()
        {
            using var json = JsonDocument.Parse("[{\"role\": \"user\"}]");
            return json.RootElement;
        }
        JsonElement deep = JsonDocument.Parse(string.Concat(Enumerable.Repeat("{\"a\":", 5000)) + "1" + new string('}', 5000),
            new JsonDocumentOptions { MaxDepth = 10000 }).RootElement;
        Action[] wrong =
        [
            () => new ChatTemplate(null!),
            () => template.Render(null!, new PromptOptions()),
            () => template.Render([null!], new PromptOptions()),
            () => template.Render([new ChatMessage(null!, "x")], new PromptOptions()),
            () => template.Render([good with { ToolCalls = null! }], new PromptOptions()),
            () => template.Render([good with { ToolCalls = [default] }], new PromptOptions()),
            () => template.Render([good], null!),
            () => template.Render([good], new PromptOptions { Tools = null! }),
            () => template.Render([good], new PromptOptions { Clock = null! }),
            () => template.Render([good], new PromptOptions { Tools = [default] }),
            () => template.Render([good], new PromptOptions { Tools = [Disposed()] }),
            () => template.Render([good], new PromptOptions { Tools = [deep] }),
            () => ChatMessages.FromJson(default),
            () => ChatMessages.FromJson(Disposed()),
            () => ChatMessages.FromJson(JsonDocument.Parse("[1]").RootElement),
            () => ChatMessages.FromJson(JsonDocument.Parse("[{\"role\": null}]").RootElement),
            () => ChatMessages.FromJson(JsonDocument.Parse("[{\"role\": \"user\", \"content\": [1]}]").RootElement),
            () => ChatMessages.FromJson(JsonDocument.Parse("[{\"role\": \"user\", \"tool_calls\": 1}]").RootElement),
            () => ChatMessages.FromJson(JsonDocument.Parse("[{\"role\": \"user\", \"tool_calls\": [1]}]").RootElement),
            () => ToolCalls.Parse(null!),
        ];
        foreach (var action in wrong) Assert.DoesNotContain('\n', Assert.Throws<TesseraException>(action).Message);
    }
}
