using System.Text.RegularExpressions;
using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>The house's words: those of the glossary are the source's.</summary>
public class WordTests
{
    static IEnumerable<string> Sources => new[] { "*.cs", "*.comp", "*.glsl" }.SelectMany(DependencyTests.Files);

    [Fact]
    public void The_glossarys_words_are_the_sources()
    {
        string all = string.Concat(Sources.Select(File.ReadAllText));
        string glossary = Regex.Match(File.ReadAllText(Path.Combine(Repository.Root, "ARCHITECTURE.md")), @"(?s)## Words.*?(?=\n## )").Value;
        string[] rows = [.. glossary.Split('\n').Where(l => l.StartsWith("| ", StringComparison.Ordinal)).Skip(1)];
        Assert.True(rows.Length > 15);
        foreach (string row in rows)
        {
            string ours = row.Split('|')[1];
            bool name = ours.Contains('`', StringComparison.Ordinal); // a name is a name in the source; a word may stand in a comment
            var words = name ? Regex.Matches(ours, "`([^`]+)`").Select(m => m.Groups[1].Value) : ours.Split(',').Select(w => w.Trim());
            foreach (string word in words)
                Assert.True(Regex.IsMatch(all, $@"(?<!\w){Regex.Escape(word)}(?!\w)", name ? RegexOptions.None : RegexOptions.IgnoreCase),
                    $"ARCHITECTURE.md explains '{word}', which the source does not use");
        }
    }
}
