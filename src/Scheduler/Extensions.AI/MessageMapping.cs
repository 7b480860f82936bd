using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.AI;
using AIMessage = Microsoft.Extensions.AI.ChatMessage;

namespace Tessera.Extensions.AI;

/// <summary>Messages as the engine's own: text, thinking, calls and results; what a model of text cannot see is refused by its name.</summary>
static class MessageMapping
{
    /// <param name="instructions">Go before the system's turn, in one with it.</param>
    /// <exception cref="TesseraException">A role or a content that no turn can hold.</exception>
    public static List<ChatMessage> Turns(IEnumerable<AIMessage> messages, string? instructions)
    {
        var turns = new List<ChatMessage>();
        List<FunctionCallContent> called = [];               // the last calls
        var results = new List<(int Order, ChatMessage Turn)>();
        void Flush()
        {
            // Qwen's templates show no ids: the first result is the first call's, whoever came first.
            turns.AddRange(results.OrderBy(r => r.Order).Select(r => r.Turn));
            results.Clear();
        }
        foreach (var message in messages)
        {
            string role = Role(message);
            StringBuilder text = new(), reasoning = new();
            var calls = new List<FunctionCallContent>();
            int before = results.Count;
            foreach (var content in message.Contents)
                switch (content)
                {
                    case TextReasoningContent thought when role == "assistant": reasoning.Append(thought.Text); break;
                    case TextContent piece: text.Append(piece.Text); break;
                    case FunctionCallContent call when role == "assistant": calls.Add(call); break;
                    case FunctionResultContent result when role is "tool" or "user":
                        int order = called.FindIndex(c => c.CallId == result.CallId);
                        results.Add((order < 0 ? int.MaxValue : order, new ChatMessage("tool", Text(result.Result))
                        {
                            ToolCallId = result.CallId, Name = order < 0 ? null : called[order].Name,
                        }));
                        break;
                    case UsageContent: break;                // of an answer that is history by now
                    default: throw Refusal(role, content);
                }
            if (text.Length == 0 && results.Count > before) continue;
            if (role == "tool") results.Add((int.MaxValue, new ChatMessage(role, text.ToString())));
            else
            {
                Flush();
                turns.Add(new ChatMessage(role, text.ToString())
                {
                    Name = message.AuthorName, Reasoning = reasoning.Length > 0 ? reasoning.ToString() : null, ToolCalls = [.. calls.Select(Call)],
                });
                called = calls;
            }
        }
        Flush();
        return string.IsNullOrEmpty(instructions) ? turns : Instructed(turns, instructions);
    }

    static string Role(AIMessage? message)
    {
        if (message is null) throw new TesseraException("messages: expected a message, found null");
        foreach (var role in (ChatRole[])[ChatRole.System, ChatRole.User, ChatRole.Assistant, ChatRole.Tool])
            if (message.Role == role) return role.Value;
        throw new TesseraException($"messages: expected the role system, user, assistant or tool, found '{message.Role.Value}'");
    }

    /// <summary>One system turn, as models are trained with.</summary>
    static List<ChatMessage> Instructed(List<ChatMessage> turns, string instructions) => turns is [{ Role: "system" } first, .. var rest]
        ? [first with { Content = $"{instructions}\n\n{first.Content}" }, .. rest] : [new ChatMessage("system", instructions), .. turns];

    static JsonElement Call(FunctionCallContent call)
    {
        var arguments = Json(call.Arguments ?? new Dictionary<string, object?>());
        return Json(new Dictionary<string, object?> { ["id"] = call.CallId, ["name"] = call.Name, ["arguments"] = arguments });
    }

    static string Text(object? result) => result switch
    {
        string text => text,
        JsonElement { ValueKind: JsonValueKind.String } json => json.GetString()!,
        TextContent content => content.Text,
        AIContent content => throw Refusal("tool", content),
        IEnumerable<AIContent> contents => string.Concat(contents.Select(Text)),
        _ => Compact(Json(result)),
    };

    static JsonElement Json(object? value)
    {
        try
        {
            return value is JsonElement json ? json
                : JsonSerializer.SerializeToElement(value, AIJsonUtilities.DefaultOptions.GetTypeInfo(value is IDictionary<string, object?>
                    ? typeof(IDictionary<string, object?>) : value?.GetType() ?? typeof(object)));
        }
        catch (Exception e) when (e is NotSupportedException or JsonException)
        {
            throw new TesseraException($"messages: expected arguments and results that JSON can hold, found {value?.GetType().Name}");
        }
    }

    static string Compact(JsonElement json)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping })) json.WriteTo(writer);
        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
    }

    static TesseraException Refusal(string role, AIContent? content)
    {
        string found = content switch
        {
            null => "null",
            DataContent data => $"{nameof(DataContent)} ({data.MediaType})",
            UriContent uri => $"{nameof(UriContent)} ({uri.MediaType})",
            _ => content.GetType().Name,
        };
        return new TesseraException($"messages: expected text{(role == "assistant" ? ", thinking and calls" : "")} of a {role}, found {found}; leave it out");
    }
}
