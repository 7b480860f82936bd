using System.Xml.Linq;
using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>Projects depend one way, and each name of the outside world is known in one room only.</summary>
public class DependencyTests
{
    static readonly Dictionary<string, string[]> allowed = new()
    {
        ["Shaders"] = [],
        ["Runtime"] = ["Shaders"],
        ["Runtime.Ilgpu"] = ["Runtime"],
        ["Scheduler"] = ["Runtime"],
        ["Extensions.AI"] = ["Scheduler"],
        ["Convert"] = ["Runtime"],
        ["Chat"] = ["Scheduler", "Runtime.Ilgpu"],
        ["Bench"] = ["Runtime", "Runtime.Ilgpu", "Scheduler"],
        ["Micro"] = ["Runtime"],
        ["Embedding"] = ["Scheduler"],
        ["ChatClient"] = ["Extensions.AI"],
        ["Testing"] = ["Runtime", "Runtime.Ilgpu"],
        ["GoldenModels"] = ["Testing", "Convert"],
        ["Shaders.Tests"] = ["Testing"],
        ["Runtime.Tests"] = ["GoldenModels"],
        ["Scheduler.Tests"] = ["GoldenModels", "Scheduler"],
        ["Extensions.AI.Tests"] = ["Testing", "Extensions.AI"],
        ["Convert.Tests"] = ["Testing", "Convert"],
        ["Repo.Tests"] = ["Testing", "Convert", "Chat", "Bench", "Embedding", "ChatClient"],
    };

    static IEnumerable<string> Projects => Files("*.csproj");

    public static IEnumerable<string> Files(string pattern) => new[] { "src", "tools", "bench", "samples", "tests" }
        .SelectMany(room => Directory.EnumerateFiles(Path.Combine(Repository.Root, room), pattern, SearchOption.AllDirectories))
        .Where(f => !f.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal));

    public static string Relative(string file) => Path.GetRelativePath(Repository.Root, file).Replace('\\', '/');

    static IEnumerable<XElement> Elements(string project, string name) => XDocument.Load(project).Descendants(name);

    [Fact]
    public void Projects_depend_one_way()
    {
        Assert.NotEmpty(Projects);
        foreach (string project in Projects)
        {
            string name = Path.GetFileNameWithoutExtension(project);
            var references = Elements(project, "ProjectReference").Select(r => Path.GetFileNameWithoutExtension(r.Attribute("Include")!.Value)).ToList();
            Assert.True(allowed.TryGetValue(name, out string[]? may), $"{name} has no line in this test");
            Assert.True(!references.Except(may).Any(), $"{name} references {string.Join(", ", references.Except(may))}");
        }
    }

    [Fact]
    public void Versions_of_packages_stand_in_one_place() =>
        Assert.All(Projects, project => Assert.DoesNotContain(Elements(project, "PackageReference"), r => r.Attribute("Version") is not null));

    [Theory]
    [InlineData("Silk.NET", "src/Runtime/Devices/Vulkan/")]
    [InlineData("ILGPU", "src/Runtime/Devices/Ilgpu/", ".Ilgpu.cs")]
    [InlineData("safetensors", "tools/convert/")]
    [InlineData("lm_head", "tools/convert/")]
    [InlineData("unsafe", "src/Runtime/Devices/", "src/Runtime/Files/", "src/Runtime/Models/LoadedModel.cs", "src/Runtime/Models/Synthetic.cs", "src/Shaders/",
        "tools/convert/", "bench/micro/")]
    [InlineData("Microsoft.Extensions.AI", "src/Scheduler/Extensions.AI/", "samples/ChatClient/")]
    [InlineData("Microsoft.ML", "src/Runtime/Tokens/Merges.cs")]
    [InlineData("MemoryMappedFile", "src/Runtime/Files/", "tools/convert/", "bench/micro/")]
    public void A_word_stays_in_its_room(string word, params string[] rooms)
    {
        bool Within(string file, string room) => file.StartsWith(room, StringComparison.Ordinal) || file.EndsWith(room, StringComparison.Ordinal);
        foreach (string file in Files("*.cs").Select(Relative))
            if (!file.StartsWith("tests/", StringComparison.Ordinal) && !rooms.Any(room => Within(file, room)))
                Assert.True(!Code(file).Contains(word, StringComparison.Ordinal), $"{file} says '{word}', which belongs to {string.Join(", ", rooms)}");
    }

    /// <summary>The lines of a file that are no comments.</summary>
    public static string Code(string file) =>
        string.Join('\n', File.ReadLines(Path.Combine(Repository.Root, file)).Where(l => !l.TrimStart().StartsWith("//", StringComparison.Ordinal)));

    [Fact]
    public void Files_stay_small_and_the_model_is_one_page()
    {
        foreach (string file in new[] { "*.cs", "*.comp", "*.glsl" }.SelectMany(Files))
            Assert.True(File.ReadLines(file).Count() <= 400, $"{Relative(file)} is longer than 400 lines");
        Assert.True(File.ReadLines(Path.Combine(Repository.Root, "src/Runtime/Models/Qwen3.cs")).Count() <= 150);
    }

    [Fact]
    public void Host_and_Vulkan_are_analysed_for_trimming_and_AOT()
    {
        foreach (string project in new[] { "Shaders/Shaders", "Runtime/Runtime", "Scheduler/Scheduler", "Scheduler/Extensions.AI/Extensions.AI" })
            Assert.Contains(Elements(Path.Combine(Repository.Root, "src", $"{project}.csproj"), "IsAotCompatible"), e => e.Value == "true");
    }
}
