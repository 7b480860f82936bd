using System.Text.Json;
using Tessera.Runtime.Tokens;
using Xunit;

namespace Tessera.Runtime.Tests.Tokens;

/// <summary>An answer taken apart: thinking, text, tool calls.</summary>
public class AnswerTests
{
    static Tokenizer Qwen => TokenizerTests.All["qwen3"].Value;

    static List<AnswerUpdate> Updates(string prompt, string answer, string[] stops, bool parseCalls)
    {
        var parser = new AnswerParser(Qwen, Qwen.Encode(prompt, added: true), stops, parseCalls);
        var updates = new List<AnswerUpdate>();
        foreach (int id in Qwen.Encode(answer, added: true)) parser.Append(id, updates);
        parser.End(updates);
        return updates;
    }

    static string Joined(IEnumerable<AnswerUpdate> updates, bool thinking) => string.Concat(updates.Where(u => u.Thinking == thinking).Select(u => u.Text));

    static (string Thinking, string Answer) Split(string prompt, string answer, params string[] stops)
    {
        var updates = Updates(prompt, answer, stops, parseCalls: false);
        return (Joined(updates, true), Joined(updates, false));
    }

    [Fact]
    public void A_stop_string_ends_the_answer_and_not_the_thinking()
    {
        Assert.Equal(("a. b\n", "one"), Split("", "<think>\na. b\n</think>\n\none. two", ". "));
        Assert.Equal(("", "four"), Split("", "four\n\nfive", "\n\n", "x"));
        Assert.Equal(("let me", "one"), Split("", "<think>let me</think>\n\none", "\n\n")); // the empty lines behind a marker are none of the answer
        Assert.Equal(("", "a sto"), Split("", "a sto", "stop"));                         // what did not become one
        Assert.Equal(("", "x "), Split("", "x \U0001f600 y", "\U0001f600"));            // of several tokens
        var parser = new AnswerParser(Qwen, [], ["b"], parseCalls: false);
        var updates = new List<AnswerUpdate>();
        foreach (int id in Qwen.Encode("a b c d", added: false)) parser.Append(id, updates);
        Assert.True(parser.IsStopped);
        Assert.Equal("a ", Joined(updates, false));
    }

    [Fact]
    public void Calls_are_given_out_whole_while_the_text_comes()
    {
        const string Call = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>";
        var updates = Updates("", $"<think>I <tool_call> think</think>\n\nI look.\n{Call}\n{Call}", [], parseCalls: true);
        Assert.Equal(("I <tool_call> think", "I look."), (Joined(updates, true), Joined(updates, false)));
        Assert.Equal(["add", "add"], updates.Where(u => u.Call is not null).Select(u => u.Call!.Name));
        Assert.True(updates.FindIndex(u => u.Call is not null) > updates.FindLastIndex(u => u.Text.Length > 0));
        Assert.Contains(updates, u => u.Text == " look"); // before its end is known
        Assert.Equal("I look.\n" + Call, Split("", $"I look.\n{Call}").Answer);
    }

    /// <summary>Anything at all, cut anywhere, gives the text and the calls that the whole answer gives.</summary>
    [Fact]
    public void A_stream_finds_what_the_whole_answer_holds()
    {
        var random = new Random(8);
        string[] parts = ["<tool_call>", "</tool_call>", "\n", "\n\n", "text", "<", "<tool", "_call>", "{\"name\": \"f\", \"arguments\": {}}",
            "{\"name\": 1}",
            "<tool_call>{\"name\": \"g\", \"arguments\": {\"a\": [1]}}</tool_call>", "</tool_call", " "];
        int found = 0;
        for (int round = 0; round < 5000; round++)
        {
            string answer = string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => parts[random.Next(parts.Length)]));
            var (text, calls) = ToolCalls.Parse(answer);
            var stream = new ToolCallStream();
            var streamed = new List<ToolCall>();
            string shown = "";
            for (int at = 0, count; at < answer.Length; at += count)
                shown += stream.Append(answer.Substring(at, count = random.Next(1, Math.Min(8, answer.Length - at) + 1)), streamed);
            shown += stream.Flush(streamed);
            Assert.True(text == shown, $"{answer}: expected '{text}', found '{shown}'");
            Assert.Equal(calls.Select(c => c.Name + c.Arguments), streamed.Select(c => c.Name + c.Arguments));
            found += calls.Count;
        }
        Assert.True(found > 1000);
    }

    [Fact]
    public void A_spent_budget_forces_the_makers_words()
    {
        int[] stop = Thinking.StopIds(Qwen);
        Assert.Equal([271, 82796, 279, 7199, 882, 553, 279, 1196, 11, 358, 614, 311, 2968, 279, 6291, 3118, 389, 279, 7274, 5961, 1431, 624, 151668, 271],
            stop);
        var thinking = new Thinking(Qwen, []);
        Assert.Empty(Thinking.Forced(thinking, 0, stop).ToArray()); // it does not think
        thinking.Marks(Qwen.Find("<think>")!.Value);
        Assert.Equal(stop, Thinking.Forced(thinking, 0, stop));
        for (int i = 0; i < 3; i++)
        {
            Assert.Empty(Thinking.Forced(thinking, 3, stop).ToArray());
            thinking.Marks(100);
        }
        Assert.Equal((3, true), (thinking.Count, Thinking.Forced(thinking, 3, stop).SequenceEqual(stop)));
        Assert.Empty(Thinking.Forced(thinking, null, stop).ToArray());
        foreach (int id in stop) thinking.Marks(id);
        Assert.False(thinking.Inside);
        Assert.Empty(Thinking.Forced(thinking, 3, stop).ToArray());
    }

    [Fact]
    public void Without_a_tokenizer_thinking_is_refused()
    {
        foreach (var act in new Action[] { () => new Thinking(null!, []), () => Thinking.StopIds(null!), () => new AnswerParser(null!, [], [], false) })
            Assert.Contains("expected a tokenizer, found null", Assert.Throws<TesseraException>(act).Message);
    }

    [Fact]
    public void Following_an_answers_bytes_allocates_nothing()
    {
        int[] ids = Qwen.Encode("<think>\nsome thought\n</think>\n\nI look.\n<tool_call>\n{}\n</tool_call><|im_end|>", added: true);
        long least = long.MaxValue;
        for (int attempt = 0; attempt < 3; attempt++)
        {
            var bytes = new AnswerBytes(Qwen, [], ["\nUser:", "###"]);
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 200; i++)
                foreach (int id in ids) bytes.Append(id, out _);
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        Assert.Equal(0, least);
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
