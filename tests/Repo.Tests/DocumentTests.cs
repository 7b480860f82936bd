using System.Text.RegularExpressions;
using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>What the documents point to is there, and what they show is what the programs take.</summary>
public class DocumentTests
{
    static IEnumerable<string> Documents => Directory.EnumerateFiles(Repository.Root, "*.md").Concat(DependencyTests.Files("*.md"));

    [Fact]
    public void Links_lead_somewhere()
    {
        foreach (string document in Documents)
            foreach (Match link in Regex.Matches(File.ReadAllText(document), @"\]\((?!http)([^)#]+)"))
                Assert.True(Path.Exists(Path.Combine(Path.GetDirectoryName(document)!, link.Groups[1].Value)), $"{document}: {link.Groups[1].Value} is not there");
    }

    [Fact]
    public void Options_in_commands_exist()
    {
        foreach (var (project, program) in new[] { ("tools/chat", "Chat"), ("tools/convert", "Convert"), ("bench", "Bench") })
        {
            string help = string.Concat(new[] { "", "model", "ops", "logits", "verify", "inspect" }.Where(c => c.Length == 0 || program != "Chat").Select(c => Command.Run(program, c.Length > 0 ? [c, "--help"] : ["--help"]).Output));
            foreach (string document in Documents)
                foreach (Match line in Regex.Matches(File.ReadAllText(document), $@"--project {project} -- (.*)"))
                    foreach (Match option in Regex.Matches(line.Groups[1].Value, @"(?<![\w-])--[a-z][a-z-]+"))
                        if (option.Value != "--help") Assert.True(help.Contains(option.Value, StringComparison.Ordinal), $"{document}: {program} has no {option.Value}");
        }
    }

    [Fact]
    public void The_tests_named_as_holding_an_invariant_exist()
    {
        string tests = string.Concat(DependencyTests.Files("*Tests.cs").Select(File.ReadAllText));
        foreach (Match name in Regex.Matches(File.ReadAllText(Path.Combine(Repository.Root, "ARCHITECTURE.md")), @"`(?:(\w+Tests)\.)?(\w+Tests|[A-Z][a-z]*_\w+)`"))
            foreach (Group part in name.Groups.Values.Skip(1).Where(g => g.Length > 0))
                Assert.True(tests.Contains($" {part.Value}", StringComparison.Ordinal), $"{part.Value} is not there");
    }
}
