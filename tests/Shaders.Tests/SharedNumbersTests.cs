using System.Text.RegularExpressions;
using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>What C# and GLSL must agree on: numbers, names and order of arguments, variants.</summary>
public partial class SharedNumbersTests
{
    static readonly string shaders = Path.Combine(Repository.Root, "src", "Shaders");

    static readonly Dictionary<string, int> shared = new()
    {
        ["TILE_ROWS"] = Tile.Rows,
        ["TILE_K"] = Tile.K,
        ["TILE_TOKENS"] = Tile.Tokens,
        ["SLICES"] = Tile.Slices,
        ["WORD_BYTES"] = Tile.WordBytes,
        ["SCALE_BLOCK"] = Tile.K,
        ["KV_TOKENS"] = KvBlock.Tokens,
        ["MAX_EXPERTS"] = RouterOp.MaxExperts,
        ["MAX_HEAD_DIM"] = AttentionOp.MaxHeadDim,
        ["SPLIT_TOKENS"] = AttentionOp.SplitTokens,
        ["KEPT"] = CandidatesOp.Kept,
        ["SLICE_IDS"] = CandidatesOp.SliceIds,
    };

    public static TheoryData<string> Ops => [.. OpCatalog.All.Select(o => o.Name)];

    /// <summary>They stand in tile.glsl, once: a number there has its twin in this list, and no other shader defines one of them again.</summary>
    [Fact]
    public void Numbers_are_written_once_in_each_language()
    {
        var sources = new[] { "*.glsl", "*.comp" }.SelectMany(pattern => Directory.EnumerateFiles(shaders, pattern, SearchOption.AllDirectories));
        string layout = Path.Combine(shaders, "Layout", "tile.glsl");
        var written = Number().Matches(File.ReadAllText(layout)).ToDictionary(m => m.Groups[1].Value, m => int.Parse(m.Groups[2].Value));
        Assert.Equal(shared.OrderBy(n => n.Key), written.OrderBy(n => n.Key));
        foreach (string source in sources)
            if (source != layout) Assert.DoesNotContain(Constant().Matches(File.ReadAllText(source)), m => shared.ContainsKey(m.Groups[1].Value));
    }

    /// <summary>Push constants: the addresses of the bindings in their order, then the arguments in theirs, by the same names.</summary>
    [Theory, MemberData(nameof(Ops))]
    public void Arguments_have_one_name_and_one_order(string op)
    {
        string block = Regex.Match(Shader(op), @"uniform Args \{(.*?)\}", RegexOptions.Singleline).Groups[1].Value;
        var fields = Field().Matches(block)
            .SelectMany(m => m.Groups[2].Value.Split(',', StringSplitOptions.TrimEntries), (m, name) => $"{m.Groups[1].Value} {name}");
        var kernel = OpCatalog.All.Single(o => o.Name == op).Kernel;
        var type = typeof(Kernel).Assembly.GetType($"Tessera.Shaders.{op}Op+Args", throwOnError: true)!;
        var args = type.GetConstructors().Single(c => c.GetParameters().Length > 0).GetParameters();
        var expected = kernel.Bindings.Select(b => $"uint64_t {b.Split(':')[0]}")
            .Concat(args.Select(a => $"{(a.ParameterType == typeof(float) ? "float" : "int")} {char.ToLowerInvariant(a.Name![0])}{a.Name[1..]}"));
        Assert.Equal(expected, fields);
        Assert.Equal(4 * args.Length, kernel.ArgBytes);
    }

    /// <summary>A variant that is compiled is chosen by some call, and one that can be chosen is compiled.</summary>
    [Theory, MemberData(nameof(Ops))]
    public void Variants_have_one_name(string op)
    {
        var compiled = Regex.Matches(Shader(op), @"^// variant: (\S+)", RegexOptions.Multiline).Select(m => $"{op}.{m.Groups[1].Value}");
        var stages = OpCatalog.All.Single(o => o.Name == op).Kernel.Vulkan.SelectMany(v => v.Stages);
        Assert.Equal(compiled.Order(), stages.Select(stage => stage.Shader).Distinct().Order());
    }

    static string Shader(string op) => File.ReadAllText(Path.Combine(shaders, op, $"{op}.comp"));

    [GeneratedRegex(@"^const int (\w+) = (\d+);", RegexOptions.Multiline)]
    private static partial Regex Number();

    [GeneratedRegex(@"const int (\w+) =")]
    private static partial Regex Constant();

    [GeneratedRegex(@"(uint64_t|int|float) ([\w, ]+);")]
    private static partial Regex Field();
}
