using System.Text.RegularExpressions;
using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>The house's words: those of the glossary are used, those given up stay away; lines fit an editor.</summary>
public class WordTests
{
    static IEnumerable<string> Sources => new[] { "*.cs", "*.comp", "*.glsl" }.SelectMany(DependencyTests.Files);

    /// <summary>Sentence verbs, fillers, and second names for a thing: as names of types, members, parameters and locals.</summary>
    const string GivenUp = @"\b(Said|Told|Tell|Tells|Heard|Hand|Ask|Asked|Unfit|Complaints|PassedOver|Most[A-Z]\w*|some|held|turned)\b";

    [Fact]
    public void Words_that_were_given_up_do_not_come_back()
    {
        foreach (string file in Sources)
        {
            int number = 0;
            foreach (string line in File.ReadLines(file))
            {
                number++;
                var found = Regex.Match(Code(line), GivenUp);
                Assert.False(found.Success, $"{DependencyTests.Relative(file)}:{number}: '{found.Value}' is no name here; ARCHITECTURE.md has the words");
            }
        }
    }

    /// <summary>A line without comments and texts.</summary>
    static string Code(string line) => Regex.Replace(Regex.Replace(line, @"""(\\.|[^""\\])*""", "\"\""), @"^\s*(///?|\*).*|//.*", "");

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

    [Fact]
    public void Lines_fit_an_editor()
    {
        int columns = int.Parse(Regex.Match(File.ReadAllText(Path.Combine(Repository.Root, ".editorconfig")), @"max_line_length = (\d+)").Groups[1].Value);
        Assert.Equal(160, columns);
        string[] longer = [.. Sources
            .SelectMany(f => File.ReadLines(f).Select((line, i) => (line, place: $"{DependencyTests.Relative(f)}:{i + 1}")))
            .Where(l => l.line.Length > columns).Select(l => l.place)];
        Assert.True(longer.Length == 0, $"{longer.Length} lines are longer than {columns}: {string.Join(", ", longer.Take(20))}");
    }
}
