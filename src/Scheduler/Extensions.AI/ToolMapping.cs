using System.Buffers;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Tessera.Extensions.AI;

/// <summary>What tools, tool mode and number of calls come to.</summary>
/// <param name="Definitions">As the model's template has them.</param>
/// <param name="Prefix">How an answer begins that must call; it cannot stand behind thinking, which is off then.</param>
/// <param name="StopStrings">What ends the answer at its first call.</param>
sealed record ToolMapping(IReadOnlyList<JsonElement> Definitions, string? Prefix, IReadOnlyList<string> StopStrings)
{
    const string Open = "<tool_call>\n", Close = "</tool_call>";

    public static ToolMapping Of(ChatOptions options, GenerationOptions raw)
    {
        var functions = Functions(options.Tools ?? []);
        if (options.ToolMode is NoneChatToolMode) return new([], null, []);
        bool any = functions.Count + raw.Tools.Count > 0;
        string? prefix = options.ToolMode switch
        {
            null or AutoChatToolMode => null,
            RequiredChatToolMode required => Required(required.RequiredFunctionName, functions, any, options, raw),
            var other => throw new TesseraException($"ToolMode: expected Auto, None or a required one, found {other.GetType().Name}"),
        };
        // A call that is open at the end is taken as one: the mark that closes it need not be shown.
        return new([.. functions.Select(Definition)], prefix, any && options.AllowMultipleToolCalls is false ? [Close] : []);
    }

    static List<AIFunctionDeclaration> Functions(IList<AITool> tools)
    {
        var functions = new List<AIFunctionDeclaration>();
        foreach (var tool in tools)
            functions.Add(tool?.GetService<AIFunctionDeclaration>() ?? throw new TesseraException(
                $"Tools: expected functions, found {tool?.GetType().Name ?? "null"}; what a provider hosts is not there"));
        return functions;
    }

    static string Required(string? name, List<AIFunctionDeclaration> functions, bool any, ChatOptions options, GenerationOptions raw)
    {
        if (!any) throw new TesseraException("ToolMode: expected a function among Tools where a call is required, found none");
        if (raw.Prefix is not null) throw new TesseraException("ToolMode: expected no prefix beside a required call, found one; leave one of both out");
        if (raw.Thinking is true || options.Reasoning?.Effort is not (null or ReasoningEffort.None))
            throw new TesseraException("ToolMode: a call cannot be required behind thinking; set Reasoning.Effort to None, or leave it null");
        if (name is null) return Open;
        if (!functions.Exists(f => f.Name == name)) throw new TesseraException($"ToolMode: expected a function of Tools, found '{name}'");
        // The model's own tokens take the space and the brace together: the forced text ends before them.
        return $"{Open}{{\"name\": \"{JsonEncodedText.Encode(name)}\", \"arguments\":";
    }

    static JsonElement Definition(AIFunctionDeclaration function)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("type", "function");
            json.WriteStartObject("function");
            json.WriteString("name", function.Name);
            if (function.Description.Length > 0) json.WriteString("description", function.Description);
            json.WritePropertyName("parameters");
            function.JsonSchema.WriteTo(json);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        using var document = JsonDocument.Parse(buffer.WrittenMemory, new JsonDocumentOptions { MaxDepth = 1000 });
        return document.RootElement.Clone();
    }
}
