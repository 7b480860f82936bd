using System.Text.RegularExpressions;
using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>What the documents point to is there, and what they show is what the programs take.</summary>
public class DocumentTests
{
    static IEnumerable<string> Documents => Directory.EnumerateFiles(Repository.Root, "*.md").Concat(DependencyTests.Files("*.md"));

    static string Architecture => File.ReadAllText(Path.Combine(Repository.Root, "ARCHITECTURE.md"));

    [Fact]
    public void Links_lead_somewhere()
    {
        foreach (string document in Documents)
            foreach (Match link in Regex.Matches(File.ReadAllText(document), @"\]\((?!http)([^)#]+)"))
            {
                string target = link.Groups[1].Value;
                Assert.True(Path.Exists(Path.Combine(Path.GetDirectoryName(document)!, target)), $"{document}: {target} is not there");
            }
    }

    [Fact]
    public void Options_in_commands_exist()
    {
        foreach (var (project, program) in new[] { ("tools/chat", "Chat"), ("tools/convert", "Convert"), ("bench", "Bench") })
        {
            var commands = program == "Chat" ? [""] : new[] { "", "model", "ops", "logits", "kld", "tokens", "scheduler", "serve", "verify", "inspect" };
            string help = string.Concat(commands.Select(c => Command.Run(program, c.Length > 0 ? [c, "--help"] : ["--help"]).Output));
            foreach (string document in Documents)
                foreach (Match line in Regex.Matches(File.ReadAllText(document), $@"--project {project} -- (.*)"))
                    foreach (string option in Regex.Matches(line.Groups[1].Value, @"(?<![\w-])--[a-z][a-z-]+").Select(m => m.Value))
                        Assert.True(option == "--help" || help.Contains(option, StringComparison.Ordinal), $"{document}: {program} has no {option}");
        }
    }

    [Fact]
    public void The_tests_named_as_holding_an_invariant_exist()
    {
        string tests = string.Concat(DependencyTests.Files("*Tests.cs").Select(File.ReadAllText));
        foreach (Match name in Regex.Matches(Architecture, @"`(?:(\w+Tests)\.)?(\w+Tests|[A-Z][a-z]*_\w+)`"))
            foreach (Group part in name.Groups.Values.Skip(1).Where(g => g.Length > 0))
                Assert.True(tests.Contains($" {part.Value}", StringComparison.Ordinal), $"{part.Value} is not there");
    }

    [Fact]
    public void Files_that_the_documents_name_exist()
    {
        string[] files = [.. new[] { "src", "tools", "bench", "samples", "tests" }
            .SelectMany(room => Directory.EnumerateFiles(Path.Combine(Repository.Root, room), "*", SearchOption.AllDirectories))];
        foreach (string document in Documents)
            foreach (Match named in Regex.Matches(File.ReadAllText(document), @"`([\w./-]+\.(?:cs|comp|glsl|sh|csproj|py|mjs))`"))
            {
                string name = named.Groups[1].Value;
                if (!name.StartsWith("X.", StringComparison.Ordinal)) // an op's files in general
                    Assert.True(Array.Exists(files, f => f.EndsWith("/" + name, StringComparison.Ordinal)), $"{document}: there is no {name}");
            }
    }

    static string Section(string document, string title) =>
        Regex.Match(File.ReadAllText(Path.Combine(Repository.Root, document)), $@"(?s)## {title}(.*?)(?=\n## |\z)").Groups[1].Value;

    /// <summary>The number in a recipe's heading, and the items of its list.</summary>
    static int Places(string title)
    {
        string section = Section("CONTRIBUTING.md", title);
        int places = int.Parse(Regex.Match(section, @"^: (\d+) places").Groups[1].Value);
        Assert.Equal(places, Regex.Count(section, @"(?m)^\d+\. "));
        return places;
    }

    /// <summary>An op is its folder, and the files elsewhere that must name it; that other ops or the model use it is not part of adding it.</summary>
    [Fact]
    public void An_op_is_added_in_as_many_places_as_CONTRIBUTING_says()
    {
        int places = Places("Add an op");
        var files = DependencyTests.Files("*.cs").ToDictionary(DependencyTests.Relative, File.ReadAllText);
        var names = Regex.Matches(files["src/Shaders/OpCatalog.cs"], @"(\w+)Op\.Kernel\b").Select(m => m.Groups[1].Value).ToList();
        Assert.True(names.Count > 10);
        var elsewhere = names.ToDictionary(op => op, op => files.Keys.Where(f => !f.StartsWith($"src/Shaders/{op}/", StringComparison.Ordinal)).ToList());
        // No file must name an op for it to be tried and timed: several are named nowhere else. What others say of the rest is their own matter.
        int[] named = [.. names.Select(op => elsewhere[op].Count(f => Regex.IsMatch(files[f], $@"\b{op}(Op|Tests)\b"))).Order()];
        Assert.Equal(places - 1, named[2]);
        Assert.Equal(places - 1, named[0]);
    }

    /// <summary>Each file that knows the weight type BF16 is named where CONTRIBUTING says how to add one; a device's ruler only uses it.</summary>
    [Fact]
    public void A_weight_type_is_added_where_CONTRIBUTING_says() => Named("Add a weight type", @"\bDType\.BF16\b", "/Devices/");

    /// <summary>Each file outside of Vulkan's own that knows its backend is named where CONTRIBUTING says how to add a device.</summary>
    [Fact]
    public void A_device_is_added_where_CONTRIBUTING_says() => Named("Add a device", @"\bVulkanDevice\.Backend\b", "/Devices/Vulkan/");

    static void Named(string title, string pattern, string apart)
    {
        Places(title);
        string section = Section("CONTRIBUTING.md", title);
        bool Apart(string file) => new[] { apart, "bench/", ".Tests/" }.Any(room => file.Contains(room, StringComparison.Ordinal));
        foreach (string file in DependencyTests.Files("*.cs").Select(DependencyTests.Relative))
            if (!Apart(file) && Regex.IsMatch(DependencyTests.Code(file), pattern))
                Assert.True(section.Contains(Path.GetFileName(file), StringComparison.Ordinal), $"CONTRIBUTING.md, '{title}': {file} is not named");
    }
}
