using System.Buffers.Binary;
using System.Text;

namespace Tessera.Runtime.Tokens;

/// <summary>A token that is matched in raw text before anything else. Special ones are control tokens: dropped when text is shown.</summary>
public readonly record struct AddedToken(int Id, string Text, bool Special);

/// <summary>
/// Qwen's byte-level BPE. Ids 0 to 255 are bytes in GPT-2's order, merge m makes id 256 + m, added tokens follow;
/// so the list of merges in order is the whole tokenizer, and a merge's rank is its id.
/// </summary>
public sealed class Tokenizer
{
    const byte FormVersion = 1;
    const int MaxMerges = 1 << 22, MaxAdded = 1 << 16, MaxTextBytes = 1 << 12;

    readonly int[] left, right;                          // (merges)
    readonly int[] offsets;                              // (merges + 257), into bytes
    readonly byte[] bytes;                               // what each id stands for, one behind the other
    readonly int[] byteIds = new int[256];               // id of each byte
    readonly Dictionary<long, int> merges;               // (left, right) -> id
    readonly Dictionary<int, AddedToken> addedById = [];
    readonly Dictionary<string, int> addedByText = new(StringComparer.Ordinal);
    readonly AddedToken[] addedLongestFirst;

    /// <exception cref="TesseraException">The merges or the added tokens do not fit each other.</exception>
    public Tokenizer(int[] left, int[] right, IReadOnlyList<AddedToken> added)
    {
        Normalization.Require();
        (this.left, this.right) = (left, right);
        merges = new Dictionary<long, int>(left.Length);
        offsets = new int[left.Length + 257];
        var order = ByteOrder();
        for (int i = 0; i < 256; i++) (byteIds[order[i]], offsets[i + 1]) = (i, i + 1);
        for (int m = 0; m < left.Length; m++)
        {
            int id = 256 + m;
            if ((uint)left[m] >= (uint)id || (uint)right[m] >= (uint)id) throw new TesseraException($"tokenizer: merge {m} joins {left[m]} and {right[m]}, expected ids below {id}");
            if (!merges.TryAdd(Pair(left[m], right[m]), id)) throw new TesseraException($"tokenizer: merge {m} repeats an earlier one");
            long end = (long)offsets[id] + Length(left[m]) + Length(right[m]);
            if (end > 1 << 28) throw new TesseraException("tokenizer: its tokens are longer than 256 MiB together");
            offsets[id + 1] = (int)end;
        }
        bytes = new byte[offsets[^1]];
        for (int i = 0; i < 256; i++) bytes[i] = order[i];
        for (int m = 0; m < left.Length; m++)
        {
            var to = bytes.AsSpan(offsets[256 + m]);
            Bytes(left[m]).CopyTo(to);
            Bytes(right[m]).CopyTo(to[Length(left[m])..]);
        }
        foreach (var token in added)
            if (token.Text.Length == 0 || token.Id < 0 || token.Id < offsets.Length - 1 || !addedById.TryAdd(token.Id, token) || !addedByText.TryAdd(token.Text, token.Id))
                throw new TesseraException($"tokenizer: added token {token.Id} '{token.Text}' is empty, repeated, or has the id of a merge");
        addedLongestFirst = [.. added.OrderByDescending(t => t.Text.Length)];
        Count = Math.Max(offsets.Length - 1, added.Count == 0 ? 0 : added.Max(t => t.Id) + 1);
    }

    /// <summary>Ids that mean something: one past the largest.</summary>
    public int Count { get; }

    /// <summary>The id of an added token, or null.</summary>
    public int? Find(string added) => addedByText.TryGetValue(added, out int id) ? id : null;

    /// <summary>Whether an id is a control token, which is not part of the text.</summary>
    public bool IsSpecial(int id) => addedById.TryGetValue(id, out var token) && token.Special;

    /// <summary>Token ids of a text; <paramref name="added"/>: added tokens in it are recognised.</summary>
    public int[] Encode(string text, bool added)
    {
        var ids = new List<int>();
        Encode(text, (_, _) => added, ids);
        return [.. ids];
    }

    /// <summary>Token ids of a prompt: control tokens are recognised only where the template itself wrote them. Markup such as &lt;tool_call&gt; is recognised everywhere: it is part of what a turn says.</summary>
    public int[] Encode(Text prompt)
    {
        var ids = new List<int>();
        Encode(prompt.Value, (token, at) => !token.Special || prompt.IsTemplate(at), ids);
        return [.. ids];
    }

    /// <summary>The bytes an id stands for; empty for an id without meaning.</summary>
    public ReadOnlySpan<byte> BytesOf(int id) =>
        addedById.TryGetValue(id, out var token) ? Encoding.UTF8.GetBytes(token.Text) : (uint)id < (uint)(offsets.Length - 1) ? Bytes(id) : [];

    /// <summary>The text of ids, U+FFFD for bytes that are no UTF-8; <paramref name="special"/>: control tokens are written too.</summary>
    public string Decode(ReadOnlySpan<int> ids, bool special = true)
    {
        var all = new List<byte>();
        foreach (int id in ids)
            if (special || !IsSpecial(id)) all.AddRange(BytesOf(id));
        return Encoding.UTF8.GetString([.. all]);
    }

    /// <summary>The compact form: version, counts, merges as 24-bit ids (all left, then all right), added tokens.</summary>
    public byte[] Pack()
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream, Encoding.UTF8);
        writer.Write(FormVersion);
        writer.Write(left.Length);
        writer.Write(addedById.Count);
        foreach (int[] side in (int[][])[left, right])
            foreach (int id in side)
            {
                writer.Write((ushort)id);
                writer.Write((byte)(id >> 16));
            }
        foreach (var token in addedById.Values.OrderBy(t => t.Id))
        {
            byte[] text = Encoding.UTF8.GetBytes(token.Text);
            writer.Write(token.Id);
            writer.Write(token.Special);
            writer.Write((ushort)text.Length);
            writer.Write(text);
        }
        writer.Flush();
        return stream.ToArray();
    }

    /// <exception cref="TesseraException">The bytes are not a tokenizer.</exception>
    public static Tokenizer Unpack(ReadOnlySpan<byte> from)
    {
        const int Head = 9;
        if (from.Length < Head || from[0] != FormVersion) throw new TesseraException($"tokenizer: expected form {FormVersion}, found {(from.Length == 0 ? "nothing" : from[0])}");
        int count = BinaryPrimitives.ReadInt32LittleEndian(from[1..]), added = BinaryPrimitives.ReadInt32LittleEndian(from[5..]);
        if (count is < 0 or > MaxMerges || added is < 0 or > MaxAdded || from.Length < Head + 6L * count)
            throw new TesseraException($"tokenizer: {count} merges and {added} added tokens do not fit in {from.Length} bytes");
        int[] left = new int[count], right = new int[count];
        for (int m = 0; m < count; m++)
        {
            left[m] = Id24(from[(Head + 3 * m)..]);
            right[m] = Id24(from[(Head + 3 * (count + m))..]);
        }
        var tokens = new List<AddedToken>();
        var rest = from[(Head + 6 * count)..];
        for (int i = 0; i < added; i++)
        {
            int length = rest.Length < 7 ? -1 : BinaryPrimitives.ReadUInt16LittleEndian(rest[5..]);
            if (length is < 0 or > MaxTextBytes || rest.Length < 7 + length) throw new TesseraException($"tokenizer: added token {i} of {added} is cut off");
            tokens.Add(new AddedToken(BinaryPrimitives.ReadInt32LittleEndian(rest), Encoding.UTF8.GetString(rest.Slice(7, length)), rest[4] != 0));
            rest = rest[(7 + length)..];
        }
        if (!rest.IsEmpty) throw new TesseraException($"tokenizer: {rest.Length} bytes are left over");
        return new Tokenizer(left, right, tokens);
    }

    /// <summary>GPT-2's order of bytes: the printable ones first.</summary>
    public static byte[] ByteOrder()
    {
        static bool Printable(int b) => b is >= 33 and <= 126 or >= 161 and <= 172 or >= 174 and <= 255;
        return [.. Enumerable.Range(0, 256).OrderBy(b => Printable(b) ? 0 : 1).ThenBy(b => b).Select(b => (byte)b)];
    }

    void Encode(string text, Func<AddedToken, int, bool> recognise, List<int> ids)
    {
        int plain = 0;
        for (int at = 0; at < text.Length;)
        {
            var token = MatchAdded(text, at, recognise);
            if (token.Text is null)
            {
                at++;
                continue;
            }
            EncodePlain(text[plain..at], ids);
            ids.Add(token.Id);
            plain = at += token.Text.Length;
        }
        EncodePlain(text[plain..], ids);
    }

    AddedToken MatchAdded(string text, int at, Func<AddedToken, int, bool> recognise)
    {
        foreach (var token in addedLongestFirst)
        {
            if (text[at] != token.Text[0] || string.CompareOrdinal(text, at, token.Text, 0, token.Text.Length) != 0) continue;
            int i = at;
            while (i < at + token.Text.Length && recognise(token, i)) i++;
            if (i == at + token.Text.Length) return token;
        }
        return default;
    }

    void EncodePlain(string text, List<int> ids)
    {
        if (text.Length == 0) return;
        text = text.Normalize(NormalizationForm.FormC);
        Span<byte> small = stackalloc byte[256];
        foreach (var (start, length) in new Pieces(text))
        {
            var piece = text.AsSpan(start, length);
            int most = Encoding.UTF8.GetMaxByteCount(length);
            var utf8 = most <= small.Length ? small : new byte[most];
            Merge(utf8[..Encoding.UTF8.GetBytes(piece, utf8)], ids);
        }
    }

    /// <summary>Byte-pair encoding of one piece: the pair with the lowest product id is joined first, leftmost of equals.</summary>
    void Merge(ReadOnlySpan<byte> piece, List<int> ids)
    {
        int n = piece.Length;
        var symbols = new int[n];
        var next = new int[n];
        var previous = new int[n];
        for (int i = 0; i < n; i++) (symbols[i], next[i], previous[i]) = (byteIds[piece[i]], i + 1, i - 1);
        var queue = new PriorityQueue<(int At, int Left, int Right), (int Id, int At)>();
        void Offer(int at)
        {
            if (at >= 0 && next[at] < n && merges.TryGetValue(Pair(symbols[at], symbols[next[at]]), out int id)) queue.Enqueue((at, symbols[at], symbols[next[at]]), (id, at));
        }
        for (int i = 0; i < n; i++) Offer(i);
        while (queue.TryDequeue(out var pair, out var rank))
        {
            int second = symbols[pair.At] == pair.Left ? next[pair.At] : n;
            if (second >= n || symbols[second] != pair.Right) continue; // joined otherwise meanwhile
            symbols[pair.At] = rank.Id;
            symbols[second] = -1;
            next[pair.At] = next[second];
            if (next[second] < n) previous[next[second]] = pair.At;
            Offer(previous[pair.At]);
            Offer(pair.At);
        }
        for (int i = 0; i < n; i = next[i]) ids.Add(symbols[i]);
    }

    int Length(int id) => offsets[id + 1] - offsets[id];

    ReadOnlySpan<byte> Bytes(int id) => bytes.AsSpan(offsets[id], Length(id));

    static long Pair(int left, int right) => (long)left << 32 | (uint)right;

    static int Id24(ReadOnlySpan<byte> from) => from[0] | from[1] << 8 | from[2] << 16;
}
