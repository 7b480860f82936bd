using System.Text.Json;
using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>A chat's conversation in a file and back, and questions that wait.</summary>
public sealed class ConversationTests : IDisposable
{
    const string Question = "Write 4217 in French.", Answer = "quatre mille deux cent dix-sept";

    readonly string folder = Directory.CreateTempSubdirectory("tessera-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    string File(string name) => Path.Combine(folder, name);

    static Command Chat(string input, params string[] options) => Command.Start("/bin/sh",
        ["-c", "printf '%s\\n' \"$INPUT\" | exec \"$CHAT\" --device host --temperature 0 \"$@\"", "chat", .. options],
        ("CHAT", Path.Combine(Command.Built("Chat"), "Tessera.Chat")), ("INPUT", input));

    [Fact]
    public void A_conversation_is_saved_and_loaded_again_with_its_thinking()
    {
        var run = Chat($"{Question}\n/save {File("a.json")}", "--system", "Be brief.");
        Assert.Equal((0, $"{Answer}\n"), (run.ExitCode, run.Output));
        Assert.Contains($"{File("a.json")}: 3 messages saved", run.Errors);
        Assert.Single(Directory.GetFiles(folder)); // nothing half-written beside it
        var saved = JsonDocument.Parse(System.IO.File.ReadAllText(File("a.json"))).RootElement;
        Assert.Equal(["system", "user", "assistant"], saved.EnumerateArray().Select(m => m.GetProperty("role").GetString()));
        Assert.Equal(Answer, saved[2].GetProperty("content").GetString());

        System.IO.File.WriteAllText(File("b.json"), """
            [{"role":"user","content":"Hi"},
             {"role":"assistant","content":"Yes","reasoning_content":"A greeting.","tool_calls":[{"name":"f","arguments":{"x":1}}]},
             {"role":"tool","content":"4","name":"f","tool_call_id":"c1"}]
            """);
        run = Chat($"What?\n/load {File("b.json")}\n/save {File("c.json")}\n/new\n/save {File("d.json")}", "--max-tokens", "1");
        Assert.Contains($"{File("b.json")}: 3 messages loaded", run.Errors);
        string Bare(string file) => JsonSerializer.Serialize(JsonDocument.Parse(System.IO.File.ReadAllText(File(file))).RootElement.EnumerateArray()
            .Select(m => m.EnumerateObject().OrderBy(f => f.Name, StringComparer.Ordinal).ToDictionary(f => f.Name, f => f.Value)));
        Assert.Equal(Bare("b.json"), Bare("c.json")); // replaces what was there, and loses nothing
        Assert.Equal("[]", Bare("d.json"));
    }

    [Theory]
    [InlineData("[{\"role\":\"user\"", "expected messages as JSON")]
    [InlineData("{}", "expected a list")]
    [InlineData("[{\"content\":\"x\"}]", "with a role")]
    [InlineData("[{\"role\":\"user\",\"content\":[1]}]", "content must be a string")]
    [InlineData("\0\u0001", "expected messages as JSON")]
    [InlineData("", "expected messages as JSON")]
    public void A_file_that_is_no_conversation_is_refused_in_one_line(string text, string says)
    {
        System.IO.File.WriteAllText(File("x.json"), text);
        var run = Chat($"/load {File("x.json")}\n{Question}");
        Assert.Equal((0, $"{Answer}\n"), (run.ExitCode, run.Output)); // the chat goes on
        string[] lines = run.Errors.Split('\n');
        Assert.Contains(says, Assert.Single(lines, l => l.StartsWith(File("x.json"), StringComparison.Ordinal)));
        Assert.DoesNotContain("   at ", run.Errors);
    }

    [Fact]
    public void A_file_that_cannot_be_read_or_written_is_told()
    {
        var run = Chat($"/load {File("nothing.json")}\n/save {folder}\n/save {File("no/x.json")}\n/save\n/load /dev/zero");
        Assert.Equal(0, run.ExitCode);
        foreach (string says in new[] { "there is no such file", "is a folder", "there is no folder", "/save FILE", "a device" })
            Assert.Contains(says, run.Errors);
        Assert.Empty(Directory.GetFileSystemEntries(folder));
    }

    [Fact]
    public void A_question_that_comes_while_an_answer_runs_waits_and_is_answered_after_it()
    {
        var run = Chat($"{Question}\nWrite 12 in French.\n/save {File("a.json")}");
        Assert.Equal((0, $"{Answer}\ndouze\n"), (run.ExitCode, run.Output));
        Assert.Contains("(waits: \"Write 12 in French.\")", run.Errors);
        Assert.Contains("4 messages saved", run.Errors); // a command waits as well
        Assert.True(run.Errors.IndexOf("(waits", StringComparison.Ordinal) < run.Errors.IndexOf("# numbers-dense", StringComparison.Ordinal));
    }
}
