using System.Security.Cryptography;
using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>The committed SPIR-V is what the pinned glslc makes of the committed shaders.</summary>
public class SpirvTests
{
    static readonly string shaders = Path.Combine(Repository.Root, "src", "Shaders");

    [Fact]
    public void The_manifest_matches_sources_and_modules()
    {
        var lines = File.ReadAllLines(Path.Combine(shaders, "spv", "manifest.txt")).Select(l => l.Split("  ")).ToDictionary(l => l[1], l => l[0]);
        Assert.All(lines, line =>
        {
            string file = line.Key.EndsWith(".spv", StringComparison.Ordinal) ? Path.Combine(shaders, "spv", line.Key) : Path.Combine(shaders, line.Key);
            string hash = System.Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)));
            Assert.True(line.Value == hash, $"{line.Key} changed: run src/Shaders/build-spv.sh");
        });
        var sources = new[] { "*.comp", "*.glsl" }.SelectMany(p => Directory.EnumerateFiles(shaders, p, SearchOption.AllDirectories))
            .Select(f => Path.GetRelativePath(shaders, f).Replace('\\', '/'));
        var modules = Directory.EnumerateFiles(Path.Combine(shaders, "spv"), "*.spv").Select(Path.GetFileName);
        Assert.Equal(lines.Keys.Order(StringComparer.Ordinal), sources.Concat(modules).Order(StringComparer.Ordinal));
    }

    [Fact, Trait("set", "all")]
    public void The_pinned_compiler_makes_the_same_bytes()
    {
        var check = Command.Start("src/Shaders/build-spv.sh", "--check");
        Assert.True(check.ExitCode == 0, check.Output + check.Errors);
    }
}
