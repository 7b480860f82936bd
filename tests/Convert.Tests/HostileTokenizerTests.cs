using System.Text.Json.Nodes;
using Tessera.Shaders;
using Xunit;

namespace Tessera.Convert.Tests;

/// <summary>What converts must load: the converter's limits of a tokenizer are the loader's.</summary>
public class HostileTokenizerTests
{
    static HfMaker WithAdded(string text)
    {
        var maker = new HfMaker().WithTokenizer("x").Save();
        string path = Path.Combine(maker.Folder, "tokenizer.json");
        var json = JsonNode.Parse(File.ReadAllText(path))!;
        json["added_tokens"]!.AsArray().Add(new JsonObject { ["id"] = 2170, ["content"] = text, ["special"] = false });
        File.WriteAllText(path, json.ToJsonString());
        return maker;
    }

    [Fact]
    public void A_long_added_token_is_refused_before_anything_is_written()
    {
        using var maker = WithAdded(new string('x', 5000));
        Assert.Contains("tokenizer.json: tokenizer: added token 2170: expected 1 to 4096 bytes of text, found 5000", maker.Fails(DType.Q8));
        Assert.False(File.Exists(maker.Out));
    }

    [Fact]
    public void The_longest_added_token_converts_and_loads()
    {
        using var maker = WithAdded(new string('x', 4096));
        maker.Convert(DType.Q8);
        using var loaded = Model.Load(maker.Out, new ModelOptions { Device = "host", Context = 16 });
        Assert.Equal([2170], loaded.Tokenizer!.Encode(new string('x', 4096), added: true));
    }
}
