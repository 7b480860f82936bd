using System.Collections;
using System.Numerics;
using System.Runtime.CompilerServices;
using Microsoft.ML.Tokenizers;

namespace Tessera.Runtime.Tokens;

/// <summary>
/// Byte-pair encoding by Microsoft.ML.Tokenizers. Ids 0 to 255 are bytes in GPT-2's order, merge m makes id 256 + m, and its rank is its id.
/// The library takes vocabulary and merges as strings; of Qwen's 151387 it makes its tokenizer in about the time that a model takes to its first token.
/// But a merge whose product does not occur in a text cannot happen there: a short text gets a tokenizer of the few hundred merges that can,
/// and that of all is built when there is much to encode.
/// </summary>
sealed class Merges
{
    /// <summary>No token is longer, merged or added.</summary>
    public const int MaxTokenBytes = 1 << 12;

    public const int MaxCount = 1 << 18;

    const int MaxBytes = 16 << 20;                       // of all tokens together
    const int ShortBytes = 1 << 14, ShortTexts = 64;     // what is encoded before the whole tokenizer is built
    const int Window = 1 << 10;                          // bytes of a pretoken that the library, quadratic in them, gets at once
    const int CachedWords = 10_000;                      // of the library: the first short ones that it meets, as long as it lives

    static readonly char[] characters = new char[256];   // how GPT-2 writes each byte

    readonly int[] left, right;                          // (merges)
    readonly int[] offsets;                              // (merges + 257), into bytes
    readonly byte[] bytes;                               // what each id stands for, one behind the other
    readonly Lazy<BpeTokenizer> all;
    int texts;

    static Merges()
    {
        int printable = 0, unprintable = 188;
        for (int b = 0; b < 256; b++)
        {
            bool plain = b is >= 33 and <= 126 or >= 161 and <= 172 or >= 174;
            characters[b] = (char)(plain ? b : 256 + unprintable - 188);
            Order[plain ? printable++ : unprintable++] = (byte)b;
        }
    }

    /// <exception cref="TesseraException">The merges do not fit each other.</exception>
    public Merges(int[] left, int[] right)
    {
        if (left.Length > MaxCount) throw new TesseraException($"tokenizer: expected at most {MaxCount} merges, found {left.Length}");
        (this.left, this.right) = (left, right);
        offsets = Offsets(left, right);
        bytes = new byte[offsets[^1]];
        Spell();
        all = new Lazy<BpeTokenizer>(OfAll);
    }

    /// <summary>GPT-2's order of bytes: the printable ones first.</summary>
    public static byte[] Order { get; } = new byte[256];

    public ReadOnlySpan<int> Left => left;

    public ReadOnlySpan<int> Right => right;

    /// <summary>Bytes and merges.</summary>
    public int Count => offsets.Length - 1;

    /// <summary>The library's tokenizer of all merges; built when it is first asked for.</summary>
    internal BpeTokenizer All => all.Value;

    public ReadOnlySpan<byte> BytesOf(int id) => bytes.AsSpan(offsets[id], Length(id));

    /// <summary>The ids of a text.</summary>
    /// <param name="utf8">Its pretokens, one behind the other.</param>
    /// <param name="parts">Where each pretoken ends; between them ~id for an added token.</param>
    public List<int> Encode(ReadOnlySpan<byte> utf8, ReadOnlySpan<int> parts)
    {
        bool brief = utf8.Length <= ShortBytes && !all.IsValueCreated && Interlocked.Increment(ref texts) <= ShortTexts;
        return Encode(brief ? Of(utf8) : All, utf8, parts);
    }

    internal List<int> Encode(BpeTokenizer tokenizer, ReadOnlySpan<byte> utf8, ReadOnlySpan<int> parts)
    {
        var ids = new List<int>(parts.Length + utf8.Length / 8);
        var known = new Dictionary<string, (int At, int Count)>(StringComparer.Ordinal); // pretokens of this text, and where their ids stand
        var find = known.GetAlternateLookup<ReadOnlySpan<char>>();
        char[] text = new char[utf8.Length];
        for (int i = 0; i < utf8.Length; i++) text[i] = characters[utf8[i]];
        int start = 0;
        foreach (int part in parts)
        {
            if (part < 0)
            {
                ids.Add(~part);
                continue;
            }
            var pretoken = text.AsSpan(start, part - start);
            start = part;
            int first = ids.Count;
            if (pretoken.Length > Window)
                for (int window = Window; !Windows(tokenizer, pretoken, window, ids); window *= 2) ids.RemoveRange(first, ids.Count - first);
            else if (find.TryGetValue(pretoken, out var place))
                for (int i = 0; i < place.Count; i++) ids.Add(ids[place.At + i]);
            else
            {
                ids.AddRange(Merge(tokenizer, pretoken));
                known.Add(pretoken.ToString(), (first, ids.Count - first));
            }
        }
        return ids;
    }

    /// <summary>
    /// The ids of a long pretoken, out of windows that share a token. Tokens are the encoding of their bytes where every two neighbours
    /// are the encoding of theirs, since merges go by rank and left to right; and each two neighbours stand in one window.
    /// False where a window does not begin with the token that the one before has there.
    /// </summary>
    bool Windows(BpeTokenizer tokenizer, ReadOnlySpan<char> pretoken, int window, List<int> ids)
    {
        int at = 0;
        for (var tokens = Merge(tokenizer, pretoken[..Math.Min(window, pretoken.Length)]); ;)
        {
            if (pretoken.Length - at <= window)
            {
                ids.AddRange(tokens);
                return true;
            }
            int shared = 0, kept = 0; // what follows can change the tokens near the end
            while (kept + Length(tokens[shared]) <= window * 3 / 4) kept += Length(tokens[shared++]);
            var following = Merge(tokenizer, pretoken.Slice(at + kept, Math.Min(window, pretoken.Length - at - kept)));
            if (shared == 0 || following[0] != tokens[shared]) return false;
            for (int i = 0; i < shared; i++) ids.Add(tokens[i]);
            at += kept;
            tokens = following;
        }
    }

    int Length(int id) => offsets[id + 1] - offsets[id];

    static IReadOnlyList<int> Merge(BpeTokenizer tokenizer, ReadOnlySpan<char> pretoken) =>
        tokenizer.EncodeToIds(pretoken, considerPreTokenization: false, considerNormalization: false);

    /// <summary>A tokenizer of all merges. The words that it keeps are pairs of bytes, so that none of a user's stays.</summary>
    BpeTokenizer OfAll()
    {
        var tokenizer = Create(Enumerable.Range(0, left.Length));
        Span<char> pair = stackalloc char[2];
        for (int i = 0; i < CachedWords; i++)
        {
            (pair[0], pair[1]) = (characters[i / 256], characters[i % 256]);
            Merge(tokenizer, pair);
        }
        return tokenizer;
    }

    /// <summary>A tokenizer of the merges whose products occur in a text.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal BpeTokenizer Of(ReadOnlySpan<byte> text)
    {
        var occurs = new BitArray(Count);
        for (int i = 0; i < 256; i++) occurs[i] = text.Contains(Order[i]);
        var merges = new List<int>();
        for (int m = 0; m < left.Length; m++)
        {
            if (!occurs[left[m]] || !occurs[right[m]] || text.IndexOf(BytesOf(256 + m)) < 0) continue;
            occurs[256 + m] = true;
            merges.Add(m);
        }
        return Create(merges);
    }

    BpeTokenizer Create(IEnumerable<int> merges)
    {
        var ids = Enumerable.Range(0, 256).Concat(merges.Select(m => 256 + m));
        return BpeTokenizer.Create(new BpeOptions(ids.Select(id => KeyValuePair.Create(Name(id), id)))
        {
            Merges = merges.Select(m => $"{Name(left[m])} {Name(right[m])}"),
        });
    }

    string Name(int id) => string.Create(Length(id), (this, id), static (name, of) =>
    {
        var token = of.Item1.BytesOf(of.id);
        for (int i = 0; i < name.Length; i++) name[i] = characters[token[i]];
    });

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static int[] Offsets(int[] left, int[] right)
    {
        var offsets = new int[left.Length + 257];
        for (int i = 0; i <= 256; i++) offsets[i] = i;
        for (int m = 0; m < left.Length; m++)
        {
            int id = 256 + m, l = left[m], r = right[m];
            if ((uint)l >= (uint)id || (uint)r >= (uint)id) throw new TesseraException($"tokenizer: merge {m} joins {l} and {r}, expected ids below {id}");
            int length = offsets[l + 1] - offsets[l] + offsets[r + 1] - offsets[r];
            if (length > MaxTokenBytes) throw new TesseraException($"tokenizer: merge {m} makes a token of {length} bytes, expected at most {MaxTokenBytes}");
            offsets[id + 1] = offsets[id] + length;
            if (offsets[id + 1] > MaxBytes) throw new TesseraException($"tokenizer: its tokens are longer than {MaxBytes} bytes together");
        }
        return offsets;
    }

    /// <summary>Writes the bytes of every token, and finds out whether two have the same.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // as all that goes through the merges before the first token: it runs once
    void Spell()
    {
        var slots = new int[BitOperations.RoundUpToPowerOf2((uint)(2 * Count))]; // id + 1, by hash
        ulong seed = (ulong)Random.Shared.NextInt64(); // nobody writes a file whose tokens all meet
        for (int id = 0; id < Count; id++)
        {
            var token = bytes.AsSpan(offsets[id], Length(id));
            if (id < 256) token[0] = Order[id];
            else
            {
                var first = BytesOf(left[id - 256]);
                first.CopyTo(token);
                BytesOf(right[id - 256]).CopyTo(token[first.Length..]);
            }
            ulong hash = seed;
            foreach (byte b in token) hash = (hash ^ b) * 0x9e3779b97f4a7c15;
            int slot = (int)(hash >> 40) & slots.Length - 1;
            for (; slots[slot] != 0; slot = slot + 1 & slots.Length - 1)
                if (BytesOf(slots[slot] - 1).SequenceEqual(token))
                    throw new TesseraException($"tokenizer: merge {id - 256} makes the bytes of token {slots[slot] - 1} again");
            slots[slot] = id + 1;
        }
    }
}
