using System.Text.Json;
using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>Every set of instructions that the host has a path for, on one machine: the ones that it has are switched off in child processes.</summary>
public class InstructionSetTests
{
    /// <summary>What .NET is told to leave out, best path first. Two may mean the same path where a machine lacks the better one.</summary>
    public static TheoryData<string> Paths =>
        ["", "EnableAVXVNNI", "EnableAVXVNNI EnableAVX512", "EnableAVXVNNI EnableAVX512 EnableAVX2", "EnableHWIntrinsic"];

    [Theory, MemberData(nameof(Paths))]
    public void Products_and_attention_have_one_set_of_bits(string off)
    {
        var run = Start("Shaders.Tests", off, "-class", "Tessera.Shaders.Tests.CanonicalTests", "-class", "Tessera.Shaders.Tests.AttentionBitsTests");
        Assert.True(run.ExitCode == 0, run.Output);
        Assert.DoesNotContain("Total: 0", run.Output);
    }

    [Fact]
    public void A_model_gives_the_same_logits_on_every_path()
    {
        string folder = Directory.CreateTempSubdirectory("tessera-").FullName, q4 = Path.Combine(folder, "moe.tessera");
        try
        {
            Assert.Equal(0, Command.Run("Convert", "tests/Goldens/models/numbers-moe", "-o", q4, "--dtype", "q4").ExitCode);
            foreach (string model in new[] { "models/numbers-dense.tessera", q4 })
                Assert.Single(Paths.Select(path => Hash(model, path.Data)).Distinct());
        }
        finally { Directory.Delete(folder, recursive: true); }
    }

    static string Hash(string model, string off)
    {
        var run = Start("Bench", off, "logits", "--model", model, "--device", "host", "--tokens", string.Join(',', Enumerable.Range(5, 70)), "--json");
        Assert.Equal("", run.Errors);
        using var json = JsonDocument.Parse(run.Output);
        string device = json.RootElement.GetProperty("device").GetString()!;
        foreach (var (set, name) in new[] { ("AVXVNNI", "AVX-VNNI"), ("AVX512", "AVX-512"), ("AVX2", "AVX2") }) // what is off is not used
            if (off.Split(' ').Contains($"Enable{set}")) Assert.DoesNotContain(name, device);
        if (off == "EnableHWIntrinsic") Assert.Contains("portable", device);
        return json.RootElement.GetProperty("hash").GetString()!;
    }

    static Command Start(string project, string off, params string[] arguments)
    {
        var variables = off.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(set => ($"DOTNET_{set}", "0"));
        return Command.Start(Path.Combine(Command.Built(project), $"Tessera.{project}"), arguments, [.. variables, ("TESSERA_DEVICES", "host")]);
    }
}
