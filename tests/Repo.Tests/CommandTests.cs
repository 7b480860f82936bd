using System.Diagnostics;
using System.Text.Json;
using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>The programs as a user meets them: what they answer, how they fail.</summary>
public class CommandTests
{
    const string Answer = "quatre mille deux cent dix-sept";

    [Fact]
    public void Chat_answers_and_names_its_device()
    {
        var run = Command.Run("Chat", "--device", "host", "Write 4217 in French.");
        Assert.Equal(0, run.ExitCode);
        Assert.Equal($"{Answer}\n", run.Output); // and nothing else
        Assert.Matches(@"^# numbers-dense q8 fast on host \(.+\) · \d+ tok · [\d.]+ tok/s · [\d.]+ ms/tok · "
            + @"[\d.]+ GB/s \(\d+ % of [\d.]+ measured\) · .*logits #[0-9a-f]{8}$",
            run.Errors.TrimEnd().Split('\n')[^1]);
    }

    [Fact]
    public void Where_memory_is_limited_an_answer_still_ends_well()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("limits the memory with ulimit");
        string chat = Path.Combine(Command.Built("Chat"), "Tessera.Chat");
        // enough for the model, not for a ruler
        var run = Command.Start("/bin/bash", "-c", $"ulimit -d 250000 && exec {chat} --device host --context 256 'Write 4217 in French.'");
        Assert.True(run.ExitCode == 0, run.Errors);
        Assert.Contains(Answer, run.Output);
        Assert.DoesNotContain("measured)", run.Output + run.Errors);
    }

    [Fact]
    public void The_sample_answers_from_any_folder_and_on_Vulkan()
    {
        string program = Path.Combine(Command.Built("Embedding"), "Tessera.Embedding"), model = Path.Combine(Repository.Root, "models/numbers-dense.tessera");
        var run = Command.Start("/bin/sh", ["-c", "cd / && exec \"$PROGRAM\""], ("PROGRAM", program));
        Assert.True(run.ExitCode == 0, run.Errors);
        Assert.StartsWith(Answer, run.Output);
        string device = TestDevices.Named("lavapipe"); // the sample references the runtime alone
        run = Command.Run("Embedding", model, "Write 4217 in French.", device);
        Assert.True(run.ExitCode == 0, run.Errors);
        Assert.StartsWith($"{Answer}\n{device}: ", run.Output);
    }

    [Fact]
    public void The_sample_with_a_tool_calls_it_and_answers()
    {
        var run = Command.Run("ChatClient");
        Assert.Equal((0, $"spell_number(4217, French)\n{Answer}\n", ""), (run.ExitCode, run.Output, run.Errors));
        run = Command.Run("ChatClient", "nowhere.tessera");
        Assert.Equal((1, 1), (run.ExitCode, run.Errors.TrimEnd().Split('\n').Length));
        Assert.Contains("nowhere.tessera", run.Errors);
    }

    static Command Shell(string script, params (string, string)[] environment) =>
        Command.Start("/bin/sh", ["-c", script], [("CHAT", $"{Path.Combine(Command.Built("Chat"), "Tessera.Chat")}"), .. environment]);

    [Theory]
    [InlineData("@LICENSE")]
    [InlineData("[suggest]")]
    [InlineData("[diagram]")]
    [InlineData("[x]")]
    public void A_prompt_is_taken_as_it_is(string prompt)
    {
        var run = Command.Run("Chat", prompt, "--device", "host", "--max-tokens", "1", "--temperature", "0");
        Assert.True(run.ExitCode == 0, run.Errors);
        // One token of the same prompt after a bare --: read as text in any parser.
        var plain = Command.Run("Chat", "--device", "host", "--max-tokens", "1", "--temperature", "0", "--", prompt);
        string Hash(string text) => System.Text.RegularExpressions.Regex.Match(text, @"prompt \d+ tok .*logits #[0-9a-f]{8}").Value.Split('#')[^1];
        Assert.NotEqual("", Hash(run.Errors));
        Assert.Equal(Hash(plain.Errors), Hash(run.Errors));
    }

    [Theory]
    [InlineData("--temperature", "0,7", "--temperature: expected 0 to 100, found '0,7'")]
    [InlineData("--temperature", "nan", "--temperature: expected 0 to 100, found 'nan'")]
    [InlineData("--temperature", " 1", "--temperature: expected 0 to 100, found ' 1'")]
    [InlineData("--temperature", "warm", "--temperature: expected 0 to 100, found 'warm'")]
    [InlineData("--seed", "-1", "--seed: expected 0 or more, found '-1'")]
    [InlineData("--seed", "99999999999", "--seed: expected a whole number, 0 or more, found '99999999999'")]
    [InlineData("--max-tokens", "1.5", "--max-tokens: expected a whole number, 0 or more, found '1.5'")]
    [InlineData("--context", "1_000", "--context: expected a whole number, 0 or more, found '1_000'")]
    public void A_number_is_read_the_same_everywhere_or_refused_in_plain_words(string option, string value, string says)
    {
        var run = Command.Start(Path.Combine(Command.Built("Chat"), "Tessera.Chat"), [option, value, "hi"], ("LC_ALL", "de_DE.UTF-8"));
        Assert.Equal((2, $"{says}. Try --help."), (run.ExitCode, run.Errors.TrimEnd()));
    }

    [Theory]
    [InlineData(0, "\"$CHAT\" --device host 'Write 4217 in French.' 2>&-")]
    [InlineData(1, "\"$CHAT\" --model nowhere.tessera hi 2>&-")]
    [InlineData(2, "\"$CHAT\" --temperature 900 hi 2>&-")]
    [InlineData(0, "\"$CHAT\" --device host 'Write 4217 in French.' 2>/dev/full")]
    public void Standard_error_may_be_closed(int code, string script)
    {
        var run = Shell(script);
        Assert.Equal((code, code == 0 ? $"{Answer}\n" : ""), (run.ExitCode, run.Output));
    }

    [Fact]
    public void Commands_of_the_chat_answer()
    {
        var run = Shell("printf '/think\\n/no-think\\n/new\\n/nonsense\\n/help\\nWrite 4217 in French.\\n' | \"$CHAT\" --device host --temperature 0");
        Assert.Equal((0, $"{Answer}\n"), (run.ExitCode, run.Output));
        foreach (string says in new[] { "thinking before answering", "answering without thinking", "a new conversation",
            "/nonsense: no such command; /help lists them", "/new       forget" })
            Assert.Contains(says, run.Errors);
    }

    [Fact]
    public void A_full_context_points_to_new()
    {
        var run = Shell("printf 'Write 4217 in French.\\nWrite 4217 in French.\\n' | \"$CHAT\" --device host --temperature 0 --context 32");
        Assert.True(run.ExitCode == 0, run.Errors);
        Assert.Contains("the context is full", run.Errors); // the first answer fills it
        Assert.Contains("the context holds 32", run.Errors); // the second question has no room
        Assert.Equal(2, System.Text.RegularExpressions.Regex.Count(run.Errors, "/new forgets the conversation"));
    }

    [Fact]
    public void A_file_that_cannot_answer_opens_no_chat()
    {
        string file = Path.Combine(Path.GetTempPath(), $"tessera-{Guid.NewGuid():N}.tessera");
        try
        {
            var made = Command.Run("Convert", Repository.Golden("models/tiny-f16"), "-o", file);
            Assert.True(made.ExitCode == 0, made.Errors);
            var run = Command.Run("Chat", "--device", "host", "--model", file);
            Assert.Equal(1, run.ExitCode);
            Assert.Contains("holds no tokenizer or no chat template", run.Errors.TrimEnd().Split('\n')[^1]);
            Assert.DoesNotContain("/help", run.Errors);
        }
        finally { File.Delete(file); }
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("1", false)]
    public void Thinking_is_dimmed_on_a_terminal_but_for_NO_COLOR(string value, bool dimmed)
    {
        var run = Shell("script -qec \"$CHAT --device host --temperature 0 'Write 4217 in French.'\" /dev/null", ("NO_COLOR", value), ("TERM", "xterm"));
        Assert.True(run.ExitCode == 0, run.Output);
        Assert.Contains(Answer, run.Output);
        Assert.Equal(dimmed, run.Output.Contains("\u001b[2m", StringComparison.Ordinal));
        Assert.Contains("# numbers-dense", run.Output); // the terminal shows both streams
    }

    [Theory]
    [InlineData("INT", 0)]
    [InlineData("TERM", 1)]
    public void A_signal_at_the_prompt_ends_the_chat(string signal, int code)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("sends a signal, which Windows has not");
        var info = new ProcessStartInfo(Path.Combine(Command.Built("Chat"), "Tessera.Chat"), ["--device", "host"])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        using var chat = Process.Start(info)!;
        try
        {
            while (chat.StandardError.ReadLine() is { } line && !line.StartsWith("/help", StringComparison.Ordinal)) { }
            Assert.Equal(0, Command.Start("/bin/sh", "-c", $"kill -{signal} {chat.Id}").ExitCode);
            Assert.True(chat.WaitForExit(20_000), "it goes on");
            Assert.Equal(code, chat.ExitCode);
        }
        finally { chat.Kill(); }
    }

    [Fact]
    public void Devices_are_listed_with_their_reasons()
    {
        var run = Command.Run("Bench", "devices");
        Assert.Equal(0, run.ExitCode);
        Assert.Matches(@"(?m)^host +host .+\n +usable: reads [\d.]+ GB/s", run.Output);
        Assert.Matches(@"(?m)^reference ", run.Output);
    }

    [Fact]
    public void Logits_of_host_and_reference_agree()
    {
        JsonElement Positions(string device)
        {
            var run = Command.Run("Bench", "logits", "--model", "models/numbers-dense.tessera", "--device", device, "--tokens", "5,6,7,300", "--numerics",
                "exact", "--json");
            Assert.Equal(0, run.ExitCode);
            Assert.Single(run.Output.TrimEnd().Split('\n'));
            var json = JsonDocument.Parse(run.Output).RootElement;
            Assert.Matches("^[0-9a-f]{8}$", json.GetProperty("hash").GetString());
            return json.GetProperty("positions");
        }
        JsonElement host = Positions("host"), reference = Positions("reference");
        Assert.Equal(4, host.GetArrayLength());
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 8; j++)
            {
                Assert.Equal(reference[i][j][0].GetInt32(), host[i][j][0].GetInt32());
                Assert.Equal(reference[i][j][1].GetDouble(), host[i][j][1].GetDouble(), 1e-3);
            }
    }

    [Fact]
    public void Software_Vulkan_gives_the_same_bits_with_any_number_of_threads()
    {
        string device = TestDevices.Named("lavapipe");
        string[] hashes = [.. new[] { "1", "2", "3", "7" }.Select(threads =>
        {
            var run = Command.Start(Path.Combine(Command.Built("Bench"), "Tessera.Bench"),
                ["logits", "--model", "models/numbers-dense.tessera", "--device", device, "--tokens", string.Join(',', Enumerable.Range(5, 70)), "--json"],
                ("LP_NUM_THREADS", threads));
            Assert.True(run.ExitCode == 0, run.Errors);
            return JsonDocument.Parse(run.Output).RootElement.GetProperty("hash").GetString()!;
        })];
        Assert.Single(hashes.Distinct());
    }

    [Fact]
    public void An_op_is_timed_at_the_shapes_of_models()
    {
        var run = Command.Run("Bench", "ops", "--device", "host", "--op", "router", "--runs", "3", "--json");
        Assert.True(run.ExitCode == 0, run.Errors);
        var rows = JsonDocument.Parse(Assert.Single(run.Output.TrimEnd().Split('\n'))).RootElement;
        Assert.Equal(["1 x 2048, 8 of 128", "256 x 2048, 8 of 128"], rows.EnumerateArray().Select(r => r.GetProperty("shape").GetString()));
        foreach (var row in rows.EnumerateArray())
        {
            Assert.Equal("Router", row.GetProperty("op").GetString());
            foreach (string number in new[] { "us", "gbps", "measured_gbps", "gops", "measured_gops" })
                Assert.True(row.GetProperty(number).GetDouble() > 0, number);
        }
    }

    [Fact]
    public void Token_timings_come_as_one_line_of_json()
    {
        string[] arguments = ["tokens", "--model", "models/numbers-dense.tessera", "--text", "README.md", "--runs", "1", "--json"];
        var run = Command.Run("Bench", arguments);
        Assert.Equal(0, run.ExitCode);
        var json = JsonDocument.Parse(run.Output).RootElement;
        Assert.Equal(new FileInfo(Path.Combine(Repository.Root, "README.md")).Length, json.GetProperty("bytes").GetInt64());
        foreach (string number in new[] { "tokens", "load_ms", "first_ms", "encode_mb_s", "decode_mb_s" })
            Assert.True(json.GetProperty(number).GetDouble() > 0, number);
        // Where .NET leaves text as it is, ids would be wrong without a word.
        run = Command.Start(Path.Combine(Command.Built("Bench"), "Tessera.Bench"), arguments, ("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1"));
        Assert.Equal(1, run.ExitCode);
        Assert.StartsWith("Unicode normalisation does not work in this process", run.Errors);
        Assert.Single(run.Errors.TrimEnd().Split('\n'));
    }

    [Fact]
    public void Model_timings_come_as_one_line_of_json()
    {
        var run = Command.Run("Bench", "model", "--model", "models/numbers-dense.tessera", "--device", "host", "--pp", "16", "--tg", "4", "--runs", "2",
            "--json");
        Assert.True(run.ExitCode == 0, run.Errors);
        var json = JsonDocument.Parse(run.Output).RootElement;
        foreach (string name in new[] { "model", "dtype", "device", "pp", "tg", "streams", "depth" }) Assert.True(json.TryGetProperty(name, out _), name);
        Assert.Equal(2, json.GetProperty("prefill_tps").GetArrayLength());
        Assert.Equal(2, json.GetProperty("decode_tps").GetArrayLength());
    }

    [Theory]
    [InlineData(1, "Chat", "vulkan:99", "--device", "vulkan:99", "hi")]
    [InlineData(1, "Chat", "expected vulkan:N", "--device", "toaster", "hi")]
    [InlineData(1, "Chat", "no such file", "--model", "nowhere.tessera", "hi")]
    [InlineData(1, "Chat", "expected a .tessera file", "--model", "LICENSE", "hi")]
    [InlineData(1, "Chat", "context", "--context", "100000000", "hi")]
    [InlineData(2, "Chat", "--temperature: expected 0 to 100", "--temperature", "-1", "hi")]
    [InlineData(2, "Chat", "no option '--nonsense'", "--nonsense", "hi")]
    [InlineData(2, "Chat", "fast", "--numerics", "sloppy", "hi")]
    [InlineData(2, "Convert", "'-o' is required", "folder")]
    [InlineData(1, "Convert", "expected a folder", "nowhere", "-o", "/tmp/nothing.tessera")]
    [InlineData(1, "Convert", "no such file", "inspect", "nowhere.tessera")]
    [InlineData(2, "Bench", "--pp: expected 1 to 1048576", "model", "--pp", "0")]
    [InlineData(2, "Bench", "--streams: expected 1 to 4096", "model", "--synthetic", "qwen3-0.6b", "--streams", "1000000000")]
    [InlineData(2, "Bench", "--depth: expected 0 to 1048576", "model", "--synthetic", "qwen3-0.6b", "--depth", "2147483647")]
    [InlineData(2, "Bench", "--threads: expected 0 to 1024", "model", "--synthetic", "qwen3-0.6b", "--threads", "100000000")]
    [InlineData(2, "Bench", "--runs: expected 1 to 1000", "model", "--synthetic", "qwen3-0.6b", "--runs", "2000000000")]
    [InlineData(1, "Bench", "do not fit", "model", "--synthetic", "qwen3-235b-a22b", "--dtype", "f32", "--device", "host")]
    [InlineData(1, "Bench", "do not fit", "model", "--synthetic", "qwen3-32b", "--streams", "4096", "--depth", "32000", "--device", "host")]
    [InlineData(2, "Bench", "Required command", "")]
    [InlineData(1, "Bench", "expected qwen3-0.6b", "model", "--synthetic", "gpt-2")]
    [InlineData(1, "Bench", "--op Softmax: expected Embed", "ops", "--op", "Softmax")]
    [InlineData(1, "Bench", "--tokens", "logits", "--model", "models/numbers-dense.tessera", "--tokens", "-5")]
    public void A_wrong_call_gets_one_line_and_its_exit_code(int code, string program, string says, params string[] arguments)
    {
        var run = Command.Run(program, arguments is [""] ? [] : arguments);
        Assert.True(code == run.ExitCode, $"exit {run.ExitCode}: {run.Errors}");
        string line = Assert.Single(run.Errors.TrimEnd().Split('\n'));
        Assert.Contains(says, line);
        Assert.DoesNotContain("   at ", run.Errors);
    }

    [Fact]
    public void A_prompt_longer_than_the_context_is_refused()
    {
        var run = Command.Run("Chat", "--device", "host", "--context", "32", string.Join(' ', Enumerable.Range(0, 100)));
        Assert.Equal(1, run.ExitCode);
        Assert.Matches(@"the prompt has \d+ tokens, the context holds 32", run.Errors);
    }
}
