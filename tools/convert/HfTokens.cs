using System.Text;
using System.Text.Json;
using Tessera.Runtime.Models;
using Tessera.Runtime.Tokens;

namespace Tessera.Convert;

/// <summary>What of a folder is about text: the tokenizer in its compact form, and the chat template as it is.</summary>
public static class HfTokens
{
    /// <summary>The segments, by name; none where there is no tokenizer.</summary>
    public static List<(string Name, byte[] Bytes)> Read(HfFolder folder, Qwen3Config config, List<string> notices)
    {
        var segments = new List<(string, byte[])>();
        using (var json = folder.Json("tokenizer.json"))
        {
            if (json is null)
            {
                notices.Add("there is no tokenizer.json: the file will take token ids only");
                return segments;
            }
            string path = folder.At("tokenizer.json");
            var tokenizer = HfTokenizer.Read(json.RootElement, path);
            if (tokenizer.Count > config.Vocabulary)
                throw new TesseraException($"{path}: {tokenizer.Count} ids, but the model's vocabulary has {config.Vocabulary}");
            segments.Add(("tokenizer", tokenizer.Pack()));
        }
        if (Template(folder) is var (file, template))
        {
            try { _ = new ChatTemplate(template); } // one that will not run is told now
            catch (TesseraException e) { throw new TesseraException($"{file}: {e.Message}", e); }
            segments.Add(("chat_template", Encoding.UTF8.GetBytes(template)));
        }
        else notices.Add("there is no chat template: the file will take plain prompts only");
        return segments;
    }

    /// <summary>The template and the file it stands in: one of its own, or an entry of tokenizer_config.json, alone or among several by name.</summary>
    static (string File, string Template)? Template(HfFolder folder)
    {
        if (folder.Text("chat_template.jinja") is { } own) return (folder.At("chat_template.jinja"), own);
        string config = folder.At("tokenizer_config.json");
        using var json = folder.Json("tokenizer_config.json");
        if (json is not { RootElement.ValueKind: JsonValueKind.Object } || !json.RootElement.TryGetProperty("chat_template", out var template)) return null;
        if (template.ValueKind == JsonValueKind.String) return (config, template.GetString()!);
        if (template.ValueKind != JsonValueKind.Array) return null;
        foreach (var entry in template.EnumerateArray())
            if (entry.ValueKind == JsonValueKind.Object && new HfJson(config, entry) is var named && named.Text("name") == "default")
                return (config, named.Text("template") ?? throw named.Wrong("chat_template default: expected a text in template"));
        return null;
    }
}
