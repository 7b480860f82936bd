using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Unicode;

namespace Tessera.Runtime.Tokens;

/// <summary>
/// Qwen's byte-level BPE. Ids 0 to 255 are bytes in GPT-2's order, merge m makes id 256 + m, added tokens follow;
/// so the list of merges in order is the whole tokenizer. Any string can be encoded and any ids decoded.
/// </summary>
public sealed class Tokenizer
{
    const byte FormVersion = 1;
    const int MaxCharacters = 1 << 28;

    readonly Merges merges;
    readonly AddedTokens added;

    /// <exception cref="TesseraException">The merges or the added tokens do not fit each other, or go past a bound.</exception>
    public Tokenizer(int[] left, int[] right, IReadOnlyList<AddedToken> added)
    {
        Normalization.Require();
        merges = new Merges(left, right);
        this.added = new AddedTokens(added, merges.Count);
        Count = Math.Max(merges.Count, this.added.MaxUsedId + 1);
    }

    /// <summary>Ids that mean something: one past the largest.</summary>
    public int Count { get; }

    /// <summary>The id of an added token, or null.</summary>
    public int? Find(string added) => this.added.Find(added);

    /// <summary>Whether an id is a control token, which is not part of the text.</summary>
    public bool IsSpecial(int id) => added.TryGet(id, out var token) && token.Special;

    /// <summary>Token ids of a text; <paramref name="added"/>: added tokens in it are recognised. What is not Unicode counts as U+FFFD.</summary>
    /// <exception cref="TesseraException">The text is too long.</exception>
    public int[] Encode(string text, bool added) => Encode(Text.Template(Bounded(text)), added);

    /// <summary>
    /// Token ids of a prompt: control tokens are recognised only where the template itself wrote them.
    /// Markup such as &lt;tool_call&gt; is recognised everywhere: it is part of what a turn says.
    /// </summary>
    /// <exception cref="TesseraException">The prompt is too long.</exception>
    public int[] Encode(Text prompt) => Encode(prompt.Whole(), added: true);

    /// <summary>The bytes an id stands for; empty for an id without meaning.</summary>
    public ReadOnlySpan<byte> BytesOf(int id) =>
        (uint)id < (uint)merges.Count ? merges.BytesOf(id) : added.BytesOf(id);

    /// <summary>The text of ids, U+FFFD for bytes that are no UTF-8; <paramref name="special"/>: control tokens are written too.</summary>
    /// <exception cref="TesseraException">The text would be too long.</exception>
    public string Decode(ReadOnlySpan<int> ids, bool special = true)
    {
        var all = new ArrayBufferWriter<byte>(4 * ids.Length + 1);
        foreach (int id in ids)
        {
            if (!special && IsSpecial(id)) continue;
            all.Write(BytesOf(id));
            if (all.WrittenCount > MaxCharacters) throw new TesseraException($"tokenizer: {ids.Length} ids are a text of more than {MaxCharacters} bytes");
        }
        return Encoding.UTF8.GetString(all.WrittenSpan);
    }

    /// <summary>The compact form: version, counts, merges as 24-bit ids (all left, then all right), added tokens.</summary>
    public byte[] Pack()
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream, Encoding.UTF8);
        writer.Write(FormVersion);
        writer.Write(merges.Left.Length);
        writer.Write(added.Count);
        for (int side = 0; side < 2; side++)
            foreach (int id in side == 0 ? merges.Left : merges.Right)
            {
                writer.Write((ushort)id);
                writer.Write((byte)(id >> 16));
            }
        foreach (var token in added.All)
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
        if (from.Length < Head || from[0] != FormVersion)
            throw new TesseraException($"tokenizer: expected form {FormVersion}, found {(from.Length == 0 ? "nothing" : from[0])}");
        int count = BinaryPrimitives.ReadInt32LittleEndian(from[1..]), added = BinaryPrimitives.ReadInt32LittleEndian(from[5..]);
        bool counted = count is >= 0 and <= Merges.MaxCount && added is >= 0 and <= AddedTokens.MaxCount;
        if (!counted || from.Length < Head + 6 * count || from.Length > Head + 6 * count + 7 * added + AddedTokens.MaxBytes)
            throw new TesseraException($"tokenizer: {count} merges and {added} added tokens do not fit in {from.Length} bytes");
        int[] left = Ids24(from.Slice(Head, 3 * count)), right = Ids24(from.Slice(Head + 3 * count, 3 * count));
        var tokens = new List<AddedToken>();
        var rest = from[(Head + 6 * count)..];
        for (int i = 0; i < added; i++)
        {
            int length = rest.Length < 7 ? -1 : BinaryPrimitives.ReadUInt16LittleEndian(rest[5..]);
            if (length < 0 || rest.Length < 7 + length) throw new TesseraException($"tokenizer: added token {i} of {added} is cut off");
            var text = rest.Slice(7, length);
            if (!Utf8.IsValid(text)) throw new TesseraException($"tokenizer: added token {i} of {added} is not UTF-8");
            tokens.Add(new AddedToken(BinaryPrimitives.ReadInt32LittleEndian(rest), Encoding.UTF8.GetString(text), rest[4] != 0));
            rest = rest[(7 + length)..];
        }
        if (!rest.IsEmpty) throw new TesseraException($"tokenizer: {rest.Length} bytes are left over");
        return new Tokenizer(left, right, tokens);
    }

    /// <summary>GPT-2's order of bytes: the printable ones first.</summary>
    public static byte[] ByteOrder() => [.. Merges.Order];

    int[] Encode(Text text, bool added)
    {
        Bounded(text.Value);
        var utf8 = new ArrayBufferWriter<byte>(text.Value.Length + 16);
        var parts = new List<int>();
        int plain = 0;
        for (int at = 0; added && (at = this.added.Candidate(text.Value, at)) >= 0;)
        {
            if (!this.added.Match(text, at, out var token))
            {
                at++;
                continue;
            }
            Split(text.Value[plain..at], utf8, parts);
            parts.Add(~token.Id);
            plain = at += token.Text.Length;
        }
        Split(text.Value[plain..], utf8, parts);
        return [.. merges.Encode(utf8.WrittenSpan, CollectionsMarshal.AsSpan(parts))];
    }

    /// <summary>Appends the pretokens of a text in which nothing is added, and where each ends.</summary>
    static void Split(string text, ArrayBufferWriter<byte> utf8, List<int> parts)
    {
        if (text.Length == 0) return;
        text = Normalization.Compose(text);
        foreach (var (start, length) in new Pretokens(text))
        {
            var to = utf8.GetSpan(3 * length);
            utf8.Advance(Encoding.UTF8.GetBytes(text.AsSpan(start, length), to));
            parts.Add(utf8.WrittenCount);
        }
    }

    static string Bounded(string? text) => text is null ? throw new TesseraException("tokenizer: expected a text, found null")
        : text.Length > MaxCharacters ? throw new TesseraException($"tokenizer: expected at most {MaxCharacters} characters, found {text.Length}") : text;

    static int[] Ids24(ReadOnlySpan<byte> from)
    {
        var ids = new int[from.Length / 3];
        for (int i = 0; i < ids.Length; i++) ids[i] = from[3 * i] | from[3 * i + 1] << 8 | from[3 * i + 2] << 16;
        return ids;
    }
}
