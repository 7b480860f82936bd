using System.Text.Encodings.Web;
using System.Text.Json;
using Tessera.Runtime.Tokens.Jinja;

namespace Tessera;

/// <summary>
/// Conversations as JSON in the shape that everybody uses: role, content, reasoning_content, tool_calls, name, tool_call_id. Other fields are passed over.
/// </summary>
public static class ChatMessages
{
    /// <exception cref="TesseraException">A message is not of that shape.</exception>
    public static List<ChatMessage> FromJson(JsonElement messages)
    {
        try
        {
            if (messages.ValueKind != JsonValueKind.Array) throw new TesseraException($"messages: expected a list, found {messages.ValueKind}");
            return [.. messages.EnumerateArray().Select(One)];
        }
        catch (ObjectDisposedException) { throw new TesseraException("messages: the JSON document was disposed before they were read; clone the element"); }
    }

    /// <summary>A list of them, as UTF-8; what is not there is not written, but for the content.</summary>
    public static byte[] ToJson(IEnumerable<ChatMessage> messages)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            void Field(string name, string? value)
            {
                if (value is not null) json.WriteString(name, value);
            }
            json.WriteStartArray();
            foreach (var message in messages)
            {
                json.WriteStartObject();
                json.WriteString("role", message.Role);
                Field("name", message.Name);
                Field("tool_call_id", message.ToolCallId);
                Field("reasoning_content", message.Reasoning);
                json.WriteString("content", message.Content);
                if (message.ToolCalls.Count > 0)
                {
                    json.WriteStartArray("tool_calls");
                    foreach (var call in message.ToolCalls) call.WriteTo(json);
                    json.WriteEndArray();
                }
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        return stream.ToArray();
    }

    static ChatMessage One(JsonElement message)
    {
        if (message.ValueKind != JsonValueKind.Object) throw new TesseraException($"messages: expected objects with a role, found {message.ValueKind}");
        string? role = null, content = null, reasoning = null, name = null, id = null;
        List<JsonElement> calls = [];
        foreach (var field in message.EnumerateObject())
            switch (JsonText.Name(field))
            {
                case "role": role = Text("role", field.Value); break;
                case "content": content = Text("content", field.Value); break;
                case "reasoning_content": reasoning = Text("reasoning_content", field.Value); break;
                case "name": name = Text("name", field.Value); break;
                case "tool_call_id": id = Text("tool_call_id", field.Value); break;
                case "tool_calls": calls = Calls(field.Value); break;
            }
        if (role is null) throw new TesseraException("messages: each must be an object with a role");
        return new ChatMessage(role, content) { Reasoning = reasoning, ToolCalls = calls, Name = name, ToolCallId = id };
    }

    static string? Text(string name, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => JsonText.String(value),
        JsonValueKind.Null => null,
        _ => throw new TesseraException($"messages: {name} must be a string, found {value.ValueKind}"),
    };

    static List<JsonElement> Calls(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Null) return [];
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(call => call.ValueKind != JsonValueKind.Object))
            throw new TesseraException("messages: tool_calls must be a list of objects");
        return [.. value.EnumerateArray().Select(call => call.Clone())];
    }
}
