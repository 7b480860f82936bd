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
        var (text, calls) = ToolCalls.Parse("I look.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": [2]}}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": \"{}\"}\n</tool_call>");
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
    public void A_call_that_was_cut_off_behind_its_braces_counts() => Assert.Single(ToolCalls.Parse("<tool_call>\n{\"name\": \"now\", \"arguments\": {}}").Calls);
}
