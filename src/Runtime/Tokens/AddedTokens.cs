using System.Buffers;
using System.Text;

namespace Tessera.Runtime.Tokens;

/// <summary>A token that is matched in raw text before anything else. Special ones are control tokens: dropped when text is shown.</summary>
public readonly record struct AddedToken(int Id, string Text, bool Special);

/// <summary>
/// Finds added tokens in text, leftmost first, the longest of those that begin at one place. A trie in an array: tokens in ordinal order,
/// each with the longest other one that it begins with, so that a look takes one binary search however long and alike the tokens are.
/// </summary>
sealed class AddedTokens
{
    public const int MaxCount = 1 << 16, MaxBytes = 4 << 20;

    const int MaxId = (1 << 24) - 1;

    readonly AddedToken[] sorted;
    readonly int[] shorter;                              // the longest token that a token begins with, or -1
    readonly SearchValues<char> firsts;
    readonly Dictionary<int, AddedToken> byId = [];
    readonly Dictionary<int, byte[]> bytesById = [];

    /// <param name="merged">Ids below are bytes and merges.</param>
    public AddedTokens(IReadOnlyList<AddedToken> tokens, int merged)
    {
        if (tokens.Count > MaxCount) throw new TesseraException($"tokenizer: expected at most {MaxCount} added tokens, found {tokens.Count}");
        long bytes = 0;
        foreach (var token in tokens)
        {
            int length = Encoding.UTF8.GetByteCount(token.Text);
            if (length is 0 or > Merges.MaxTokenBytes)
                throw new TesseraException($"tokenizer: added token {token.Id}: expected 1 to {Merges.MaxTokenBytes} bytes of text, found {length}");
            if ((bytes += length) > MaxBytes) throw new TesseraException($"tokenizer: expected added tokens of at most {MaxBytes} bytes together, found more");
            if (token.Id < merged || token.Id > MaxId)
                throw new TesseraException($"tokenizer: added token '{Brief(token)}': expected an id from {merged} to {MaxId}, found {token.Id}");
            bytesById.TryAdd(token.Id, Encoding.UTF8.GetBytes(token.Text));
            if (!byId.TryAdd(token.Id, token))
                throw new TesseraException($"tokenizer: added token '{Brief(token)}' has the id of '{Brief(byId[token.Id])}', {token.Id}");
        }
        sorted = [.. tokens];
        Array.Sort(sorted, (a, b) => string.CompareOrdinal(a.Text, b.Text));
        shorter = new int[sorted.Length];
        for (int i = 0; i < sorted.Length; i++)
        {
            if (i > 0 && sorted[i].Text == sorted[i - 1].Text) throw new TesseraException($"tokenizer: added token '{Brief(sorted[i])}' appears twice");
            shorter[i] = Prefix(i - 1, sorted[i].Text);
        }
        char[] letters = new char[sorted.Length];
        for (int i = 0; i < letters.Length; i++) letters[i] = sorted[i].Text[0];
        firsts = SearchValues.Create(letters);
    }

    public int Count => sorted.Length;

    /// <summary>In the order of ids.</summary>
    public IEnumerable<AddedToken> All => byId.Values.OrderBy(t => t.Id);

    public int MaxUsedId => byId.Count == 0 ? -1 : byId.Keys.Max();

    public bool TryGet(int id, out AddedToken token) => byId.TryGetValue(id, out token);

    /// <summary>A token's text in UTF-8; empty where no token has the id.</summary>
    public ReadOnlySpan<byte> BytesOf(int id) => bytesById.GetValueOrDefault(id);

    public int? Find(string text)
    {
        int at = AtOrBefore(text);
        return at >= 0 && sorted[at].Text == text ? sorted[at].Id : null;
    }

    /// <summary>The first place from <paramref name="from"/> on where a token may begin, or -1.</summary>
    public int Candidate(ReadOnlySpan<char> text, int from)
    {
        int at = text[from..].IndexOfAny(firsts);
        return at < 0 ? -1 : from + at;
    }

    /// <summary>The longest token at a place that may be one there: control tokens only where the template wrote all of them.</summary>
    public bool Match(Text text, int at, out AddedToken token)
    {
        var rest = text.Value.AsSpan(at);
        for (int i = Prefix(AtOrBefore(rest), rest); i >= 0; i = shorter[i])
        {
            token = sorted[i];
            if (!token.Special || text.IsTemplate(at, token.Text.Length)) return true;
        }
        token = default;
        return false;
    }

    /// <summary>The longest token, at or above one in the trie, that a text begins with.</summary>
    int Prefix(int i, ReadOnlySpan<char> text)
    {
        if (i < 0) return -1;
        int common = text.CommonPrefixLength(sorted[i].Text);
        while (i >= 0 && sorted[i].Text.Length > common) i = shorter[i];
        return i;
    }

    /// <summary>The last token in order that is not behind a text: all that the text begins with are it, or it begins with them.</summary>
    int AtOrBefore(ReadOnlySpan<char> text)
    {
        int low = 0, high = sorted.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (sorted[middle].Text.AsSpan().SequenceCompareTo(text) <= 0) low = middle + 1;
            else high = middle;
        }
        return low - 1;
    }

    static string Brief(AddedToken token) =>
        string.Concat(token.Text.Take(60).Select(c => char.IsControl(c) ? '?' : c)) + (token.Text.Length > 60 ? "…" : "");
}
