using System.Reflection;
using System.Text;
using Tessera.Runtime.Tokens;
using Xunit;

namespace Tessera.Runtime.Tests.Tokens;

/// <summary>Texts and tokenizers made to harm: every string is encoded, and what is refused is refused in one line.</summary>
public class HostileTextTests
{
    [Fact]
    public void Half_of_a_surrogate_pair_is_a_replacement_character()
    {
        var tokenizer = TokenizerTests.All["qwen3"].Value;
        foreach (string text in new[] { "\ud83d", "a\ud83d", "\ude00b", "\ude00\ud83d", "x\ud83d\ud83d\ude00y", "\ud83d<|im_end|>\udfff" })
        {
            string unicode = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
            Assert.Contains('\ufffd', unicode);
            Assert.Equal(tokenizer.Encode(unicode, added: true), tokenizer.Encode(text, added: true));
            Assert.Equal(unicode, tokenizer.Decode(tokenizer.Encode(text, added: true)));
        }
    }

    [Fact]
    public void A_template_may_cut_a_users_emoji()
    {
        var template = new ChatTemplate("<|im_start|>{{ messages[0]['content'][:9] }}<|im_end|>");
        int[] ids = TokenizerTests.All["qwen3"].Value.Encode(template.Render([new ChatMessage("user", "12345678😀")], new PromptOptions()));
        Assert.StartsWith("<|im_start|>12345678", TokenizerTests.All["qwen3"].Value.Decode(ids));
        ids = TokenizerTests.All["qwen3"].Value.Encode(template.Render([new ChatMessage("user", "1234567\ud83d")], new PromptOptions()));
        Assert.Equal("<|im_start|>1234567\ufffd<|im_end|>", TokenizerTests.All["qwen3"].Value.Decode(ids));
        Assert.Equal([], TokenizerTests.All["qwen3"].Value.Encode(default(Text)));
    }

    [Fact]
    public void Noncharacters_pass_through_normalisation()
    {
        var tokenizer = TokenizerTests.All["qwen3"].Value;
        var lastTwo = Enumerable.Range(0, 17).SelectMany(plane => new[] { plane << 16 | 0xfffe, plane << 16 | 0xffff });
        var noncharacters = lastTwo.Concat(Enumerable.Range(0xfdd0, 32));
        foreach (int code in noncharacters)
        {
            string c = char.ConvertFromUtf32(code);
            Assert.Equal($"{c}\u00e9{c}{c}x", tokenizer.Decode(tokenizer.Encode($"{c}e\u0301{c}{c}x", added: false)));
        }
        Assert.Equal("e\ufffe\u0301", tokenizer.Decode(tokenizer.Encode("e\ufffe\u0301", added: false))); // nothing composes across
    }

    [Theory, InlineData("qwen3"), InlineData("numbers")]
    public void Any_text_comes_back(string name) => AnyText(name, 500);

    [Fact, Trait("set", "all")]
    public void Any_text_comes_back_at_length() => AnyText("qwen3", 20_000);

    static void AnyText(string name, int texts)
    {
        var tokenizer = TokenizerTests.All[name].Value;
        string[] traps = ["\ufffe", "\uffff", "\ud83d", "\ude00", "😀", "e\u0301", "\u0345", "\u0323", "\u0301", "\u0340", "\u1100\u1161\u11a8",
            "<|im_end|>", "<think>", "<|", " ", "\r\n", "'Re", "\u017f", "\0"];
        var random = new Random(6);
        string Part() => random.Next(8) switch
        {
            0 => ((char)random.Next(0xd800, 0xe000)).ToString(),
            1 or 2 => traps[random.Next(traps.Length)],
            3 or 4 => new Rune(random.Next(0x80)).ToString(),
            5 => new Rune(random.Next(0x80, 0x3000)).ToString(),
            6 => new Rune(random.Next(0x3000, 0xd800)).ToString(),
            _ => new Rune(random.Next(0xe000, 0x110000)).ToString(),
        };
        for (int i = 0; i < texts; i++)
        {
            string text = string.Concat(Enumerable.Range(0, random.Next(40)).Select(_ => Part()));
            string unicode = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
            string composed = string.Join('\ufffe', unicode.Split('\ufffe').Select(part => part.Normalize(NormalizationForm.FormC)));
            int[] ids = tokenizer.Encode(text, added: false);
            Assert.Equal(composed, tokenizer.Decode(ids));
            var stream = new TextStream(tokenizer);
            Assert.Equal(composed, string.Concat(ids.Select(stream.Append)) + stream.Flush());
            tokenizer.Encode(text, added: true);
            tokenizer.Encode(Text.Message(text) + Text.Template("<|im_end|>"));
        }
    }

    /// <summary>Marks of many classes in a wrong order, in runs long enough that we sort them and short enough for ICU to do it by insertion.</summary>
    [Fact]
    public void Long_runs_of_combining_marks_are_composed_as_short_ones()
    {
        var random = new Random(2);
        string[] marks = ["\u0301", "\u0323", "\u0345", "\u0334", "\u0344", "\u05b0", "\u0e38", "\u064b", "\U0001d165", "\u0903", "\u20dd", "\u0f73", "\u0340"];
        for (int i = 0; i < 200; i++)
        {
            string text = "e" + string.Concat(Enumerable.Range(0, random.Next(60, 400)).Select(_ => marks[random.Next(i % 2 == 0 ? 5 : marks.Length)])) + "x";
            Assert.Equal(text.Normalize(NormalizationForm.FormC), Normalization.Compose(text));
        }
    }

    /// <summary>Words that took quadratic time: each within what is long for any machine, and short for a quadratic one.</summary>
    [Theory, InlineData("a"), InlineData("random"), InlineData("😀"), InlineData(" "), InlineData("ß"), InlineData("\u0301\u0323"), InlineData("\ufffe")]
    public async Task A_word_of_a_megabyte_ends(string unit)
    {
        var random = new Random(4);
        const int Bytes = 1_000_000;
        string word = unit == "random" ? string.Concat(Enumerable.Range(0, Bytes).Select(_ => (char)random.Next('a', 'z' + 1)))
            : string.Concat(Enumerable.Repeat(unit, Bytes / Encoding.UTF8.GetByteCount(unit)));
        var tokenizer = TokenizerTests.All["qwen3"].Value;
        string back = await Task.Run(() => tokenizer.Decode(tokenizer.Encode(word, added: true))).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.True(back == Normalization.Compose(word));
    }

    /// <summary>The library keeps the first words it meets for ever; they must not be a user's.</summary>
    [Fact]
    public void No_word_of_a_text_stays_in_the_library()
    {
        var tokenizer = TokenizerTests.Load("numbers");
        const string Secret = "hunter2Tr0ub4dor";
        for (int i = 0; i < 100; i++) tokenizer.Encode($"my password is {Secret}, {i}", added: false);
        const BindingFlags Any = BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public;
        object merges = typeof(Tokenizer).GetField("merges", Any)!.GetValue(tokenizer)!;
        object library = ((Merges)merges).All;
        object cache = library.GetType().GetProperty("Cache", Any)!.GetValue(library)!;
        var map = (System.Collections.IDictionary)cache.GetType().GetField("_map", Any)!.GetValue(cache)!;
        Assert.Equal(cache.GetType().GetField("_capacity", Any)!.GetValue(cache), map.Count);
        Assert.All(map.Keys.Cast<object>(), key => Assert.Equal(2, key.ToString()!.Length));
    }

    /// <summary>65536 tokens with one prefix made each place of a text a search through all of them: a minute for 16000 characters.</summary>
    [Fact]
    public async Task Many_added_tokens_with_one_prefix_do_not_slow_a_text_down()
    {
        string prefix = new('<', 40);
        var tokenizer = new Tokenizer([], [], [.. Enumerable.Range(0, 65_536).Select(i => new AddedToken(256 + i, $"{prefix}{i}>", false))]);
        string text = new string('<', 1_000_000) + "65535>";
        int[] ids = await Task.Run(() => tokenizer.Encode(text, added: true)).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(1_000_000 - 40 + 1, ids.Length);
        Assert.Equal(256 + 65_535, ids[^1]);
    }

    [Fact]
    public void What_no_text_needs_is_refused()
    {
        static string Refused(Func<Tokenizer> make) => Assert.Throws<TesseraException>(() => make()).Message;
        static string Added(IEnumerable<string> texts) => Refused(() => new([], [], [.. texts.Select((text, i) => new AddedToken(256 + i, text, false))]));
        Assert.Equal("tokenizer: added token 256: expected 1 to 4096 bytes of text, found 5000", Added([new string('x', 5000)]));
        Assert.Equal("tokenizer: added token 257: expected 1 to 4096 bytes of text, found 0", Added(["x", ""]));
        Assert.Contains("expected at most 65536 added tokens", Added(Enumerable.Range(0, 65_537).Select(i => $"{i}")));
        Assert.Contains("bytes together", Added(Enumerable.Range(0, 2000).Select(i => $"{i:d4000}")));
        Assert.Contains("expected an id from 256", Refused(() => new([], [], [new(int.MaxValue, "x", false)])));
        Assert.Contains("expected an id from 256", Refused(() => new([], [], [new(255, "x", false)])));
        Assert.Contains("has the id of 'x', 256", Refused(() => new([], [], [new(256, "x", false), new(256, "y", false)])));
        Assert.Contains("'x' appears twice", Refused(() => new([], [], [new(256, "x", false), new(257, "x", true)])));
        Assert.Contains("makes a token of 8192 bytes", Refused(() => new([0, .. Enumerable.Range(256, 13)], [0, .. Enumerable.Range(256, 13)], [])));
        Assert.Contains("merge 3 makes the bytes of token 258 again", Refused(() => new([1, 2, 256, 1], [2, 3, 3, 257], []))); // ab, bc, ab c, a bc
        Assert.Contains("merge 1 makes the bytes of token 256 again", Refused(() => new([1, 1], [2, 2], [])));
        byte[] pack = new Tokenizer([], [], [new(256, "ä", false)]).Pack();
        pack[^1] = (byte)'x';
        Assert.Contains("added token 0 of 1 is not UTF-8", Refused(() => Tokenizer.Unpack(pack)));
        Assert.Contains("found null", Assert.Throws<TesseraException>(() => TokenizerTests.All["numbers"].Value.Encode(null!, added: true)).Message);
        Assert.Equal(256 + 11 + 1, new Tokenizer([0, .. Enumerable.Range(256, 11)], [0, .. Enumerable.Range(256, 11)], []).Count); // 4096 bytes are a token
        Assert.Equal(4096, Tokenizer.Unpack(new Tokenizer([], [], [new(256, new string('x', 4096), false)]).Pack()).BytesOf(256).Length);
    }

    [Fact]
    public void Broken_packs_are_refused()
    {
        byte[] whole = TokenizerTests.All["numbers"].Value.Pack();
        for (int length = 0; length < whole.Length; length += 97) Assert.Throws<TesseraException>(() => Tokenizer.Unpack(whole.AsSpan(0, length)));
        Damage(300);
    }

    [Fact, Trait("set", "all")]
    public void Broken_packs_are_refused_or_work_at_length() => Damage(1500);

    /// <summary>A damaged tokenizer is refused, or encodes and decodes.</summary>
    static void Damage(int packs)
    {
        byte[] whole = TokenizerTests.All["numbers"].Value.Pack();
        var random = new Random(3);
        for (int i = 0; i < packs; i++)
        {
            byte[] altered = [.. whole];
            for (int changes = random.Next(1, 4); changes > 0; changes--)
                altered[random.Next(random.Next(2) == 0 ? 64 : altered.Length)] ^= (byte)random.Next(1, 256);
            try
            {
                var tokenizer = Tokenizer.Unpack(altered);
                Assert.Equal("12 <|im_end|> naïve 数字", tokenizer.Decode(tokenizer.Encode("12 <|im_end|> naïve 数字", added: true)));
            }
            catch (TesseraException) { }
        }
    }
}
