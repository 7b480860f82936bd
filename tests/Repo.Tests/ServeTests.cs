using System.Text.Json;
using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>`bench serve` on the small model: its figures are there and agree with each other.</summary>
public class ServeTests
{
    static JsonElement[] Serve(params string[] arguments)
    {
        var run = Command.Run("Bench", ["serve", "--model", "models/numbers-dense.tessera", "--device", "host", "--pp", "8", "--json", .. arguments]);
        Assert.True(run.ExitCode == 0, run.Errors);
        return [.. run.Output.TrimEnd().Split('\n').Select(line => JsonDocument.Parse(line).RootElement)];
    }

    static double Number(JsonElement line, string name) => line.GetProperty(name).GetDouble();

    [Fact]
    public void Each_setting_is_a_line_with_what_its_streams_saw()
    {
        var lines = Serve("--streams", "1,3", "--tg", "24", "--answers", "2");
        Assert.Equal([1, 3], lines.Select(l => l.GetProperty("streams").GetInt32()));
        foreach (var line in lines)
        {
            Assert.Equal(("numbers-dense", "q8", 8, 24), (line.GetProperty("model").GetString(), line.GetProperty("dtype").GetString(),
                line.GetProperty("pp").GetInt32(), line.GetProperty("tg").GetInt32()));
            Assert.StartsWith("host (", line.GetProperty("device").GetString());
            Assert.True(line.GetProperty("answers").GetInt32() >= 2 * line.GetProperty("streams").GetInt32()); // two of each at least
            Assert.Equal(0, line.GetProperty("cached_tokens").GetInt32()); // no prompt begins like another
            foreach (string name in new[] { "tps", "ttft_ms_p50", "gap_ms_max" }) Assert.True(Number(line, name) > 0, name);
            Assert.True(Number(line, "ttft_ms_p50") <= Number(line, "ttft_ms_p99"));
            Assert.True(Number(line, "gap_ms_p99") <= Number(line, "gap_ms_max"));
            Assert.True(Number(line, "tpot_ms_p50") <= Number(line, "gap_ms_max") + 0.06); // rounded
        }
    }

    [Fact, Trait("set", "all")]
    public void A_picture_shows_each_setting_and_names_model_and_device()
    {
        string file = Path.Combine(Path.GetTempPath(), $"tessera-{Guid.NewGuid():N}.svg");
        try
        {
            var lines = Serve("--streams", "1,2", "--tg", "8", "--answers", "1", "--svg", file);
            var svg = System.Xml.Linq.XDocument.Load(file).Root!;
            string[] texts = [.. svg.Descendants().Where(e => e.Name.LocalName == "text").Select(e => e.Value)];
            Assert.Contains(texts, t => t.StartsWith($"numbers-dense q8 on {lines[0].GetProperty("device").GetString()}, 20", StringComparison.Ordinal));
            Assert.Equal(3, texts.Count(t => t == "streams"));
            var drawn = svg.Descendants().Where(e => e.Name.LocalName == "polyline").ToArray();
            Assert.Equal(5, drawn.Length); // throughput, and two of each latency
            Assert.Equal(2, drawn[0].Attribute("points")!.Value.Split(' ').Length);
        }
        finally { File.Delete(file); }
    }

    [Fact, Trait("set", "all")]
    public void Requests_that_arrive_are_all_answered_and_held_against_the_objective()
    {
        string[] arguments = ["--streams", "2", "--tg", "4", "--rate", "200", "--requests", "9"];
        var line = Assert.Single(Serve([.. arguments, "--ttft-ms", "1000000", "--tpot-ms", "1000000"]));
        Assert.Equal((9, 1.0), (line.GetProperty("answers").GetInt32(), Number(line, "goodput")));
        Assert.True(Number(line, "goodput_rps") > 0);
        line = Assert.Single(Serve([.. arguments, "--ttft-ms", "0"]));
        Assert.Equal((9, 0.0, 0.0), (line.GetProperty("answers").GetInt32(), Number(line, "goodput"), Number(line, "goodput_rps")));
    }

    [Fact, Trait("set", "all")]
    public void Prompts_that_arrive_count_beside_what_the_streams_decode()
    {
        var line = Assert.Single(Serve("--streams", "2", "--tg", "64", "--arrive", "120", "--answers", "2", "--step-ms", "50"));
        Assert.Equal((2, 50), (line.GetProperty("answers").GetInt32(), line.GetProperty("step_ms").GetInt32()));
        Assert.True(Number(line, "total_tps") > Number(line, "tps"));
        Assert.True(Number(line, "gap_ms_max") > 0);
    }

    [Fact, Trait("set", "all")]
    public void Prompts_that_begin_alike_find_it_in_the_cache_and_answers_to_one_share_it()
    {
        var line = Assert.Single(Serve("--tg", "4", "--shared", "100", "--answers", "1"));
        Assert.Equal(96, line.GetProperty("cached_tokens").GetInt32()); // whole blocks of 16
        Assert.InRange(line.GetProperty("computed_for_answers").GetInt32(), 100, 100 + 3 * 15);
        Assert.True(Number(line, "first_ttft_ms") > 0);
    }

    [Theory]
    [InlineData(1, "expected --model FILE or --synthetic SHAPE")]
    [InlineData(1, "--streams: expected numbers of 1 to 4096", "--synthetic", "qwen3-0.6b", "--streams", "1,,2")]
    [InlineData(1, "--streams: expected numbers of 1 to 4096", "--synthetic", "qwen3-0.6b", "--streams", "8,0")]
    [InlineData(1, "expected one of them", "--synthetic", "qwen3-0.6b", "--rate", "1", "--arrive", "10")]
    [InlineData(1, "--svg: expected no --rate", "--synthetic", "qwen3-0.6b", "--shared", "1", "--svg", "x.svg")]
    [InlineData(1, "there is no folder", "--synthetic", "qwen3-0.6b", "--svg", "nowhere/x.svg")]
    [InlineData(1, "--streams with --rate: expected one number", "--synthetic", "qwen3-0.6b", "--rate", "1", "--streams", "1,2")]
    [InlineData(2, "--rate: expected 0.001 to 1000000", "--synthetic", "qwen3-0.6b", "--rate", "0")]
    [InlineData(2, "--step-ms: expected 1 to 1000000", "--synthetic", "qwen3-0.6b", "--step-ms", "-1")]
    [InlineData(1, "does not fit", "--synthetic", "qwen3-32b", "--streams", "4096", "--tg", "32000", "--device", "host")]
    [InlineData(1, "tokens in the cache", "--synthetic", "qwen3-0.6b", "--streams", "4096", "--pp", "1000000", "--device", "host")]
    [InlineData(1, "expected 1 to", "--model", "models/numbers-dense.tessera", "--pp", "100000", "--device", "host")]
    [InlineData(1, "expected qwen3-0.6b", "--synthetic", "gpt-2")]
    public void A_wrong_call_gets_one_line(int code, string says, params string[] arguments)
    {
        var run = Command.Run("Bench", ["serve", .. arguments]);
        Assert.True(code == run.ExitCode, $"exit {run.ExitCode}: {run.Errors}");
        Assert.Contains(says, Assert.Single(run.Errors.TrimEnd().Split('\n')));
    }
}
