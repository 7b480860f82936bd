using System.Text.Json;
using Tessera.Runtime.Tokens;

namespace Tessera.Convert;

/// <summary>Reads tokenizer.json, and refuses one that asks for anything but what <see cref="Tokenizer"/> does.</summary>
public static class HfTokenizer
{
    const string Expression = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <exception cref="TesseraException">The file is another kind of tokenizer: says what was expected and found.</exception>
    public static Tokenizer Read(JsonElement json, string path)
    {
        Require(path, "normalizer", Get(json, "normalizer", "type"), "NFC");
        Require(path, "model type", Get(json, "model", "type"), "BPE");
        CheckSplit(json, path);
        var model = json.GetProperty("model");
        foreach (string off in (string[])["byte_fallback", "ignore_merges"])
            if (new HfJson(path, model).Flag(off)) throw Wrong(path, off, "false", "true");
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var entry in Member(model, "vocab", JsonValueKind.Object, path).EnumerateObject())
            ids[entry.Name] = Id(entry.Value, $"id of token '{entry.Name}'", path);
        int[] left = Left(model, ids, path, out var right);
        var added = Added(json, path);
        try { return new Tokenizer(left, right, added); }
        catch (TesseraException e) { throw new TesseraException($"{path}: {e.Message}", e); } // what would not load is not written
    }

    /// <summary>Ids 0 to 255 must be the bytes, and merge m must make id 256 + m: then the merges are the whole tokenizer.</summary>
    static int[] Left(JsonElement model, Dictionary<string, int> ids, string path, out int[] right)
    {
        var names = ByteNames();
        for (int i = 0; i < 256; i++)
            if (!ids.TryGetValue(names[i], out int id) || id != i) throw Wrong(path, $"id of byte token '{names[i]}'", i.ToString(), id.ToString());
        var merges = Member(model, "merges", JsonValueKind.Array, path);
        int count = merges.GetArrayLength();
        if (ids.Count != count + 256) throw Wrong(path, "vocabulary", $"{count + 256} tokens (256 bytes and {count} merges)", ids.Count.ToString());
        var left = new int[count];
        right = new int[count];
        int m = 0;
        foreach (var merge in merges.EnumerateArray())
        {
            // a list of two, or, before transformers 4.45, both in one text
            string[] pair = merge.ValueKind == JsonValueKind.Array ? [.. merge.EnumerateArray().Select(Text)] : Text(merge).Split(' ');
            if (pair.Length != 2 || !ids.TryGetValue(pair[0], out left[m]) || !ids.TryGetValue(pair[1], out right[m])
                || !ids.TryGetValue(pair[0] + pair[1], out int made) || made != 256 + m)
                throw Wrong(path, $"merge {m}", $"two known tokens that make id {256 + m}", HfJson.Brief(merge));
            m++;
        }
        return left;
    }

    static List<AddedToken> Added(JsonElement json, string path)
    {
        var added = new List<AddedToken>();
        foreach (var token in Member(json, "added_tokens", JsonValueKind.Array, path).EnumerateArray())
        {
            string content = Text(Member(token, "content", JsonValueKind.String, path));
            int id = Id(Member(token, "id", JsonValueKind.Number, path), $"id of added token '{content}'", path);
            var flags = new HfJson(path, token);
            foreach (string off in (string[])["lstrip", "rstrip", "single_word", "normalized"])
                if (flags.Flag(off)) throw Wrong(path, $"added token {id}, {off}", "false", "true");
            added.Add(new AddedToken(id, content, flags.Flag("special")));
        }
        return added;
    }

    static void CheckSplit(JsonElement json, string path)
    {
        var pre = Member(json, "pre_tokenizer", JsonValueKind.Object, path);
        bool several = new HfJson(path, pre).Text("type") == "Sequence";
        JsonElement[] steps = several ? [.. Member(pre, "pretokenizers", JsonValueKind.Array, path).EnumerateArray()] : [pre];
        string found = string.Join(" + ", steps.Select(s => s.ValueKind == JsonValueKind.Object ? new HfJson(path, s).Text("type") : HfJson.Brief(s)));
        Require(path, "pre_tokenizer", found, "Split + ByteLevel");
        Require(path, "split expression", Get(steps[0], "pattern", "Regex"), Expression);
        Require(path, "split behavior", new HfJson(path, steps[0]).Text("behavior"), "Isolated");
    }

    static string[] ByteNames()
    {
        var order = Tokenizer.ByteOrder();
        int unprintable = 256; // bytes that are not printable are written as U+0100 onwards
        return [.. order.Select((b, i) => i < 188 ? ((char)b).ToString() : ((char)unprintable++).ToString())];
    }

    static string? Get(JsonElement json, string a, string b) =>
        Get(Get(json, a), b) is not { } value ? null : value.ValueKind == JsonValueKind.String ? value.GetString() : HfJson.Brief(value);

    static JsonElement? Get(JsonElement? json, string name) =>
        json is { ValueKind: JsonValueKind.Object } of && of.TryGetProperty(name, out var value) ? value : null;

    static JsonElement Member(JsonElement json, string name, JsonValueKind kind, string path)
    {
        var found = json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) ? value : default;
        return found.ValueKind == kind ? found : throw Wrong(path, name, kind.ToString().ToLowerInvariant(), HfJson.Brief(found));
    }

    static int Id(JsonElement value, string what, string path) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int id) ? id : throw Wrong(path, what, "a whole number", HfJson.Brief(value));

    static string Text(JsonElement value) => value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

    static void Require(string path, string what, string? found, string expected)
    {
        if (found != expected) throw Wrong(path, what, expected, found ?? "nothing");
    }

    static TesseraException Wrong(string path, string what, string expected, string found) => new($"{path}: {what}: expected {expected}, found {found}");
}
