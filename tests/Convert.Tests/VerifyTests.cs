using System.Text.Json.Nodes;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Convert.Tests;

/// <summary>Verify tells each setting, text and weight that is not the folder's.</summary>
public class VerifyTests
{
    static (int Code, string Output, string[] Errors) Run(params string[] paths)
    {
        var run = Command.Run("Convert", ["verify", .. paths]);
        return (run.ExitCode, run.Output, run.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void Every_setting_is_compared()
    {
        using var maker = new HfMaker().WithExperts(4, 2, equal: false).Save();
        maker.Config["rope_scaling"] = JsonNode.Parse(
            """{"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128, "attention_factor": 1.25}""");
        var generation = new JsonObject { ["do_sample"] = true, ["temperature"] = 0.5, ["top_k"] = 20, ["top_p"] = 0.75, ["min_p"] = 0.25,
            ["repetition_penalty"] = 1.5, ["eos_token_id"] = 7 };
        void Write()
        {
            File.WriteAllText(Path.Combine(maker.Folder, "config.json"), maker.Config.ToJsonString());
            File.WriteAllText(Path.Combine(maker.Folder, "generation_config.json"), generation.ToJsonString());
        }
        Write();
        maker.Convert(DType.Q8);
        Check([]);
        (JsonObject In, string Key, JsonNode Value, string Line)[] edits =
        [
            (maker.Config, "rope_theta", 20000, "config.rope.theta: expected 20000, found 10000"),
            (maker.Config, "rms_norm_eps", 0.5, "config.eps: expected 0.5, found 1E-06"),
            (maker.Config, "max_position_embeddings", 256, "config.context: expected 256, found 512"),
            (maker.Config, "num_experts_per_tok", 3, "config.moe.active: expected 3, found 2"),
            (maker.Config, "norm_topk_prob", false, "config.moe.renormalise: expected false, found true"),
            (maker.Config["rope_scaling"]!.AsObject(), "factor", 2, "config.rope.yarn.factor: expected 2, found 4"),
            (maker.Config["rope_scaling"]!.AsObject(), "original_max_position_embeddings", 64, "config.rope.yarn.original: expected 64, found 128"),
            (maker.Config["rope_scaling"]!.AsObject(), "beta_fast", 16, "config.rope.yarn.betaFast: expected 16, found 32"),
            (maker.Config["rope_scaling"]!.AsObject(), "attention_factor", 1.5, "config.rope.yarn.attentionFactor: expected 1.5, found 1.25"),
            (generation, "do_sample", false, "generation.doSample: expected false, found true"),
            (generation, "temperature", 1.5, "generation.temperature: expected 1.5, found 0.5"),
            (generation, "top_k", 5, "generation.topK: expected 5, found 20"),
            (generation, "eos_token_id", new JsonArray(7, 9), "generation.endIds: expected [7,9], found [7]"),
        ];
        foreach (var (at, key, value, line) in edits)
        {
            var before = at[key]?.DeepClone();
            at[key] = value;
            Write();
            Check([line]);
            if (before is null) at.Remove(key);
            else at[key] = before;
        }
        maker.Config["rope_theta"] = 20000;
        generation["top_k"] = 5;
        Write();
        Check(["config.rope.theta: expected 20000, found 10000", "generation.topK: expected 5, found 20"]);

        void Check(string[] lines)
        {
            using var folder = new HfFolder(maker.Folder);
            using var file = Runtime.Files.TiledFile.Open(maker.Out);
            var comparison = new Comparison(file, folder);
            comparison.Run(_ => { }, TestContext.Current.CancellationToken);
            Assert.Equal(lines.Select(line => $"{maker.Out}: {line}"), comparison.Differences);
        }
    }

    [Fact]
    public void Differences_are_lines_and_an_exit_code()
    {
        using var maker = new HfMaker().Save();
        maker.Convert(DType.Q8);
        maker.Config["rope_theta"] = 20000;
        maker.Config["rms_norm_eps"] = 1e-5;
        maker.Save();
        var (code, output, errors) = Run(maker.Folder, maker.Out);
        Assert.Equal((1, "", 2), (code, output, errors.Length));
    }

    [Fact]
    public void Tokenizer_and_template_are_compared()
    {
        using var maker = new HfMaker().WithTokenizer("{{ messages[0].content }}").Save();
        maker.Convert(DType.Q8);
        File.WriteAllText(Path.Combine(maker.Folder, "chat_template.jinja"), "{{ messages[0].content }}!");
        Assert.Contains("segment 'chat_template' differs from the folder's", Assert.Single(Run(maker.Folder, maker.Out).Errors));
        File.Delete(Path.Combine(maker.Folder, "chat_template.jinja"));
        Assert.Contains("segment 'chat_template' is nothing that the folder has", Assert.Single(Run(maker.Folder, maker.Out).Errors));
        string tokenizer = Path.Combine(maker.Folder, "tokenizer.json");
        string text = File.ReadAllText(tokenizer);
        Assert.Contains("\"special\": true", text.Replace("\"special\":true", "\"special\": true"));
        File.WriteAllText(tokenizer, text.Replace("\"special\": true", "\"special\": false").Replace("\"special\":true", "\"special\":false"));
        Assert.Contains(Run(maker.Folder, maker.Out).Errors, e => e.Contains("segment 'tokenizer' differs from the folder's"));
    }

    [Fact]
    public void Weights_are_compared()
    {
        using var maker = new HfMaker().Save();
        maker.Convert(DType.Q8);
        var whole = Run(maker.Folder, maker.Out);
        Assert.True(whole.Code == 0 && whole.Output.Contains("equals"), string.Join(' ', whole.Errors) + whole.Output);
        maker.Tensors["model.layers.1.mlp.up_proj.weight"].Values[36 * 96 + 95] += 0.25f;
        maker.Tensors["model.norm.weight"].Values[3] += 0.25f;
        maker.Save();
        var other = Run(maker.Folder, maker.Out);
        Assert.Equal((1, 2), (other.Code, other.Errors.Length));
        Assert.Contains("'layers.1.gate_up' differs from the folder at row 84, column 95", other.Errors[0]);
        Assert.Contains("'final_norm' differs from the folder at column 3", other.Errors[1]);
        maker.Config["tie_word_embeddings"] = true;
        maker.Save();
        Assert.Contains(Run(maker.Folder, maker.Out).Errors, e => e.Contains("segment 'head' is nothing that the folder has"));
        var listed = Command.Run("Convert", "inspect", maker.Out);
        Assert.Matches(@"layers\.1\.gate_up +q8 +\(96, 96\)", listed.Output);
    }

    [Fact]
    public void Help_has_the_usage_that_is_accepted()
    {
        Assert.Contains("Tessera.Convert verify [HF_FOLDER] <FILE> [options]", Command.Run("Convert", "verify", "--help").Output);
        string inspect = Command.Run("Convert", "inspect", "--help").Output;
        Assert.Contains("Tessera.Convert inspect <FILE> [options]", inspect);
        Assert.DoesNotContain("HF_FOLDER", inspect);
    }

    [Fact]
    public void Hashing_and_comparing_stop_between_panels()
    {
        using var maker = new HfMaker().Save();
        maker.Convert(DType.Q8);
        using var stopped = new CancellationTokenSource();
        stopped.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => Verify.Run([maker.Out], stopped.Token));
        using var folder = new HfFolder(maker.Folder);
        using var file = Runtime.Files.TiledFile.Open(maker.Out);
        Assert.ThrowsAny<OperationCanceledException>(() => file.Corrupted(stop: stopped.Token).Count());
        using var stop = new CancellationTokenSource();
        int steps = 0;
        Assert.ThrowsAny<OperationCanceledException>(() => new Comparison(file, folder).Run(_ =>
        {
            steps++;
            stop.Cancel();
        }, stop.Token));
        Assert.Equal(1, steps);
    }
}
