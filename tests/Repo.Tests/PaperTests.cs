using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>What AMD's compiler in Mesa makes of the shaders, for GPUs that are not there, is what was committed, and nothing spills.</summary>
public class PaperTests
{
    public static TheoryData<string> Families => ["NAVI31", "NAVI21", "VEGA10"];

    static string[] Committed(string family) => File.ReadAllLines(Path.Combine(Repository.Root, "bench", "results", "paper", $"{family}.txt"));

    [Theory, MemberData(nameof(Families))]
    public void Nothing_spills(string family)
    {
        string[] lines = Committed(family);
        Assert.True(lines.Length > 40);
        foreach (string line in lines[2..])
        {
            string[] cells = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            Assert.True(cells[3] == "0" && cells[4] == "0", line);
        }
    }

    [Theory, MemberData(nameof(Families)), Trait("set", "all")]
    public void The_compiler_makes_the_same(string family)
    {
        var run = Command.Start("bench/paper.sh", "--check", family);
        Assert.True(run.ExitCode == 0, run.Errors);
        string[] expected = Committed(family), actual = run.Output.TrimEnd().Split('\n');
        if (expected[0] != actual[0]) Assert.Skip($"committed for '{expected[0]}', this machine has '{actual[0]}'");
        Assert.Equal(expected, actual);
    }
}
