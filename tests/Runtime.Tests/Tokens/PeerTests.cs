using System.IO.Compression;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;
using Tessera.Testing;
using Xunit;

namespace Tessera.Runtime.Tests.Tokens;

/// <summary>An independent BPE, Microsoft's, agrees wherever its regular expression splits as Qwen's does: on texts without letters outside the basic plane.</summary>
public class PeerTests
{
    [Fact]
    public void Microsofts_tokenizer_gives_the_same_ids()
    {
        using var file = new BrotliStream(File.OpenRead(Repository.Golden("tokenizers/qwen3/tokenizer.json.br")), CompressionMode.Decompress);
        using var json = JsonDocument.Parse(file);
        var model = json.RootElement.GetProperty("model");
        var vocabulary = model.GetProperty("vocab").EnumerateObject().Select(p => KeyValuePair.Create(p.Name, p.Value.GetInt32())).ToList();
        var merges = model.GetProperty("merges").EnumerateArray().Select(m => m.ValueKind == JsonValueKind.String ? m.GetString()! : $"{m[0].GetString()} {m[1].GetString()}").ToList();
        string split = json.RootElement.GetProperty("pre_tokenizer").GetProperty("pretokenizers")[0].GetProperty("pattern").GetProperty("Regex").GetString()!;
        var peer = BpeTokenizer.Create(new BpeOptions(vocabulary) { Merges = merges, ByteLevel = true, PreTokenizer = new RegexPreTokenizer(new Regex(split), null) });
        var own = TokenizerTests.All["qwen3"].Value;
        int compared = 0;
        foreach (var one in JsonDocument.Parse(File.ReadAllText(Repository.Golden("tokenizers/qwen3/golden-strings.json"))).RootElement.EnumerateArray())
        {
            string text = one.GetProperty("text").GetString()!;
            if (text.Length == 0 || text.Any(char.IsSurrogate) || !text.IsNormalized()) continue;
            Assert.Equal(peer.EncodeToIds(text, considerNormalization: false), own.Encode(text, added: false));
            compared++;
        }
        Assert.True(compared > 200, $"{compared} texts were compared");
    }
}
