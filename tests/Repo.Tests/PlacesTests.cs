using System.Text.RegularExpressions;
using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>How many places an addition touches is what CONTRIBUTING says.</summary>
public class PlacesTests
{
    /// <summary>What walks the catalogue: rooms and files that know no op by its name, so that none of them changes when one is added.</summary>
    static readonly string[] walkers =
    [
        "src/Shaders/Cases/", "src/Shaders/Layout/", "src/Shaders/Kernel.cs", "src/Shaders/IRecorder.cs", "src/Runtime/Devices/",
        "bench/OpsReport.cs", "bench/OpBuffers.cs", "bench/OpTimer.cs", "bench/StageTable.cs",
        "tests/Testing/", "tests/Shaders.Tests/OpTests.cs", "tests/Shaders.Tests/RaceTests.cs",
    ];

    static readonly string shaders = Path.Combine(Repository.Root, "src", "Shaders");

    static readonly string[] ops =
        [.. Directory.EnumerateDirectories(shaders).Select(f => Path.GetFileName(f)!).Where(op => File.Exists(Path.Combine(shaders, op, $"{op}.Cases.cs")))];

    [Fact]
    public void An_op_is_a_folder_and_a_line_in_the_catalogue()
    {
        Assert.True(ops.Length > 10);
        string catalogue = File.ReadAllText(Path.Combine(shaders, "OpCatalog.cs"));
        Assert.All(ops, op => Assert.Single(Regex.Matches(catalogue, $@"^.*\b{op}Op\b.*$", RegexOptions.Multiline)));
        var files = DependencyTests.Files("*.cs").Select(f => Path.GetRelativePath(Repository.Root, f).Replace('\\', '/'))
            .Where(file => walkers.Any(w => file.StartsWith(w, StringComparison.Ordinal)));
        var named = from file in files
                    let text = File.ReadAllText(Path.Combine(Repository.Root, file))
                    from op in ops
                    where Regex.IsMatch(text, $@"\b{op}Op\b|gpu\.{op}\(")
                    select $"{file} names {op}";
        Assert.Empty(named);
        Assert.Equal(2, Places("an op"));
    }

    /// <summary>The last one that was added: every file that names it is in the recipe, by its own name or its folder's.</summary>
    [Fact]
    public void A_weight_type_is_what_the_recipe_says()
    {
        string recipe = Section("a weight type");
        var files = new[] { "*.cs", "*.glsl", "*.comp" }.SelectMany(DependencyTests.Files)
            .Where(file => Regex.IsMatch(File.ReadAllText(file), @"\bQ4\b|\bWORD_K == 8\b|-DWORD_K=8\b"))
            .Select(file => Path.GetRelativePath(Repository.Root, file).Replace('\\', '/'))
            .Where(file => file.StartsWith("src/", StringComparison.Ordinal) || file.StartsWith("tools/", StringComparison.Ordinal)).ToList();
        Assert.All(files.Where(file => !file.EndsWith(".comp", StringComparison.Ordinal)), file => Assert.Contains($"{Path.GetFileName(file)}`", recipe));
        Assert.Equal(5, files.Count(file => file.EndsWith(".comp", StringComparison.Ordinal)));
        Assert.Equal(7, Places("a weight type"));
    }

    static string Section(string what) => Regex.Match(File.ReadAllText(Path.Combine(Repository.Root, "CONTRIBUTING.md")), $@"^## Add {what}: .*?(?=^## )",
        RegexOptions.Multiline | RegexOptions.Singleline).Value;

    /// <summary>The number in the heading, which is that of the list below it.</summary>
    static int Places(string what)
    {
        string text = File.ReadAllText(Path.Combine(Repository.Root, "CONTRIBUTING.md"));
        var section = Regex.Match(text, $@"^## Add {what}: (\d+) places?\n(.*?)(?=^## )", RegexOptions.Multiline | RegexOptions.Singleline);
        Assert.Equal(section.Groups[1].Value, $"{Regex.Count(section.Groups[2].Value, @"^\d+\. ", RegexOptions.Multiline)}");
        return int.Parse(section.Groups[1].Value);
    }
}
