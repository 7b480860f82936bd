using System.Text;
using System.Text.Json;
using Tessera.Runtime.Models;
using Tessera.Runtime.Tokens;
using Tessera.Shaders;

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
            string path = Path.Combine(folder.Folder, "tokenizer.json");
            var tokenizer = HfTokenizer.Read(json.RootElement, path);
            if (tokenizer.Count > config.Vocabulary) throw new TesseraException($"{path}: {tokenizer.Count} ids, but the model's vocabulary has {config.Vocabulary}");
            segments.Add(("tokenizer", tokenizer.Pack()));
        }
        if (Template(folder) is { } template)
        {
            _ = new ChatTemplate(template); // a template that will not run is told now
            segments.Add(("chat_template", Encoding.UTF8.GetBytes(template)));
        }
        else notices.Add("there is no chat template: the file will take plain prompts only");
        return segments;
    }

    static string? Template(HfFolder folder)
    {
        string own = Path.Combine(folder.Folder, "chat_template.jinja");
        if (File.Exists(own)) return File.ReadAllText(own);
        using var json = folder.Json("tokenizer_config.json");
        if (json is null || !json.RootElement.TryGetProperty("chat_template", out var template)) return null;
        if (template.ValueKind == JsonValueKind.String) return template.GetString();
        if (template.ValueKind != JsonValueKind.Array) return null;
        foreach (var named in template.EnumerateArray()) // several, by name
            if (named.TryGetProperty("name", out var name) && name.GetString() == "default") return named.GetProperty("template").GetString();
        return null;
    }
}
