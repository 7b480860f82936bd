using System.Text.Json;

namespace Tessera;

/// <summary>Reads conversations from JSON in the shape that everybody uses: role, content, reasoning_content, tool_calls.</summary>
public static class ChatMessages
{
    /// <exception cref="TesseraException">A message is not of that shape.</exception>
    public static List<ChatMessage> FromJson(JsonElement messages)
    {
        if (messages.ValueKind != JsonValueKind.Array) throw new TesseraException($"messages: expected a list, found {messages.ValueKind}");
        return [.. messages.EnumerateArray().Select(One)];
    }

    static ChatMessage One(JsonElement message)
    {
        string? Text(string name) => message.TryGetProperty(name, out var value) ? value.ValueKind switch
        {
            JsonValueKind.String => value.GetString(),
            JsonValueKind.Null => null,
            _ => throw new TesseraException($"messages: {name} must be a string, found {value.ValueKind}"),
        } : null;
        if (message.ValueKind != JsonValueKind.Object || Text("role") is not { } role) throw new TesseraException("messages: each must be an object with a role");
        var calls = message.TryGetProperty("tool_calls", out var list) && list.ValueKind == JsonValueKind.Array ? list.EnumerateArray().Select(c => c.Clone()).ToList() : [];
        return new ChatMessage(role, Text("content")) { Reasoning = Text("reasoning_content"), ToolCalls = calls };
    }
}
