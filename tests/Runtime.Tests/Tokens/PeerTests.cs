using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Tessera.Runtime.Tokens;
using Tessera.Testing;
using Xunit;

namespace Tessera.Runtime.Tests.Tokens;

/// <summary>
/// Byte-pair encoding as its definition says, written for this test: of the pairs that stand side by side, the one with the lowest rank is joined,
/// leftmost first, until none is known. It splits by the expression itself, with .NET's Regex, and so only texts without characters outside the basic plane.
/// </summary>
public class PeerTests
{
    sealed class Peer
    {
        readonly Dictionary<(int, int), int> products = [];
        readonly Dictionary<byte, int> byteIds = [];
        readonly Regex split;

        public Peer(string name)
        {
            using var json = TokenizerTests.Json(name);
            var model = json.RootElement.GetProperty("model");
            var vocabulary = model.GetProperty("vocab").EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetInt32(), StringComparer.Ordinal);
            foreach (var merge in model.GetProperty("merges").EnumerateArray())
            {
                string[] pair = merge.ValueKind == JsonValueKind.String ? merge.GetString()!.Split(' ') : [merge[0].GetString()!, merge[1].GetString()!];
                products.Add((vocabulary[pair[0]], vocabulary[pair[1]]), vocabulary[pair[0] + pair[1]]);
            }
            for (int i = 0; i < 256; i++) byteIds[Tokenizer.ByteOrder()[i]] = i;
            var splitter = json.RootElement.GetProperty("pre_tokenizer").GetProperty("pretokenizers")[0];
            split = new Regex(splitter.GetProperty("pattern").GetProperty("Regex").GetString()!);
        }

        public Peer(int[] left, int[] right)
        {
            for (int m = 0; m < left.Length; m++) products.Add((left[m], right[m]), 256 + m);
            for (int i = 0; i < 256; i++) byteIds[Tokenizer.ByteOrder()[i]] = i;
            split = new Regex("(?s).+"); // the texts of these are one pretoken
        }

        public int[] Encode(string text) => [.. split.Matches(text).SelectMany(m => Merge(Encoding.UTF8.GetBytes(m.Value)))];

        List<int> Merge(byte[] pretoken)
        {
            var ids = pretoken.Select(b => byteIds[b]).ToList();
            while (true)
            {
                int best = int.MaxValue;
                for (int i = 0; i + 1 < ids.Count; i++)
                    if (products.TryGetValue((ids[i], ids[i + 1]), out int product)) best = Math.Min(best, product);
                if (best == int.MaxValue) return ids;
                var joined = new List<int>(ids.Count); // a pair's product makes no pair of a lower rank: all of one rank at once
                for (int i = 0; i < ids.Count; i++)
                {
                    bool join = i + 1 < ids.Count && products.TryGetValue((ids[i], ids[i + 1]), out int product) && product == best;
                    joined.Add(join ? best : ids[i]);
                    if (join) i++;
                }
                ids = joined;
            }
        }
    }

    [Theory, InlineData("qwen3"), InlineData("numbers")]
    public void An_independent_merge_loop_gives_the_same_ids(string name)
    {
        var (peer, own) = (new Peer(name), TokenizerTests.All[name].Value);
        var letters = new Random(5);
        string Random(int length) => string.Concat(Enumerable.Range(0, length).Select(_ => (char)letters.Next('a', 'z' + 1)));
        string Times(string unit, int count) => string.Concat(Enumerable.Repeat(unit, count));
        string[] words = [Times("a", 5000), Times(" ", 4099), Times("-", 3000) + "\n", Random(5000), "x" + Random(1024), Times("ни", 1500), Times("数字五", 900)];
        var goldens = JsonDocument.Parse(File.ReadAllText(Repository.Golden($"tokenizers/{name}/golden-strings.json"))).RootElement;
        var texts = goldens.EnumerateArray().Select(one => one.GetProperty("text").GetString()!).Concat(words);
        int compared = 0;
        foreach (string text in texts)
        {
            if (text.Length == 0 || text.Any(char.IsSurrogate) || !text.IsNormalized()) continue;
            Assert.Equal(peer.Encode(text), own.Encode(text, added: false));
            compared++;
        }
        Assert.True(compared > 200, $"{compared} texts were compared");
    }

    /// <summary>Merges of three letters at random, on long words that repeat themselves: windows join rightly, and a text's own merges suffice.</summary>
    [Fact]
    public void Any_merges_give_the_same_ids() => AnyMerges(60);

    [Fact, Trait("set", "all")]
    public void Any_merges_give_the_same_ids_at_length() => AnyMerges(1500);

    static void AnyMerges(int tokenizers)
    {
        var random = new Random(11);
        for (int i = 0; i < tokenizers; i++)
        {
            int[] letters = ['a' - 33, 'b' - 33, 'c' - 33]; // their ids: printable bytes come first
            var (left, right, known) = (new List<int>(), new List<int>(), new HashSet<string> { "a", "b", "c" });
            var names = new List<string> { "a", "b", "c" };
            int Id(int name) => name < 3 ? letters[name] : 253 + name;
            for (int tries = random.Next(4, 120); tries > 0; tries--)
            {
                int l = random.Next(names.Count), r = random.Next(names.Count);
                if (names[l].Length + names[r].Length > 300 || !known.Add(names[l] + names[r])) continue;
                left.Add(Id(l));
                right.Add(Id(r));
                names.Add(names[l] + names[r]);
            }
            var (peer, own) = (new Peer([.. left], [.. right]), new Tokenizer([.. left], [.. right], []));
            var merges = new Merges([.. left], [.. right]);
            for (int texts = 0; texts < 6; texts++)
            {
                string Letters(int length) => string.Concat(Enumerable.Range(0, length).Select(_ => "abc"[random.Next(3)]));
                string unit = Letters(random.Next(1, 40));
                int length = random.Next(1, texts % 2 == 0 ? 6000 : 300);
                string text = texts < 3 ? string.Concat(Enumerable.Repeat(unit, length / unit.Length + 1)) : Letters(length);
                int[] expected = peer.Encode(text);
                Assert.Equal(expected, own.Encode(text, added: false));
                byte[] utf8 = Encoding.UTF8.GetBytes(text);
                Assert.Equal(expected, merges.Encode(merges.All, utf8, [utf8.Length]));
            }
        }
    }
}
