using System.Text.Json;
using Tessera.Runtime.Tokens.Jinja;

namespace Tessera;

/// <summary>A call that an answer makes.</summary>
/// <param name="Name">The function.</param>
/// <param name="Arguments">A JSON object.</param>
public sealed record ToolCall(string Name, JsonElement Arguments);

/// <summary>
/// Finds the calls in an answer: &lt;tool_call&gt; {"name": ..., "arguments": {...}} &lt;/tool_call&gt;, several allowed. Thinking is split off
/// before.
/// </summary>
public static class ToolCalls
{
    internal const string Open = "<tool_call>", Close = "</tool_call>";

    static readonly JsonDocumentOptions lenient = new() { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip, MaxDepth = 64 };

    /// <summary>The text before the first call, and the calls; what is no valid call stays text. In calls, half a surrogate pair becomes U+FFFD.</summary>
    /// <exception cref="TesseraException">The answer is null.</exception>
    public static (string Text, List<ToolCall> Calls) Parse(string answer)
    {
        if (answer is null) throw new TesseraException("tool calls: expected an answer, found null");
        var calls = new List<ToolCall>();
        int first = -1;
        for (int at = 0; (at = answer.IndexOf(Open, at, StringComparison.Ordinal)) >= 0;)
        {
            int body = at + Open.Length, end = answer.IndexOf(Close, body, StringComparison.Ordinal);
            if (Read(answer[body..(end < 0 ? answer.Length : end)]) is { } call)
            {
                if (first < 0) first = at;
                calls.Add(call);
            }
            at = end < 0 ? answer.Length : end + Close.Length;
        }
        return (first < 0 ? answer : answer[..first].TrimEnd('\n'), calls);
    }

    /// <summary>The call that lies between the markers; null where it is no valid one.</summary>
    internal static ToolCall? Read(string body)
    {
        try
        {
            using var json = JsonDocument.Parse(JsonText.Readable(body), lenient);
            var call = json.RootElement;
            if (call.ValueKind != JsonValueKind.Object || !call.TryGetProperty("name", out var name) || name.ValueKind != JsonValueKind.String) return null;
            if (!call.TryGetProperty("arguments", out var arguments)) return null;
            if (arguments.ValueKind == JsonValueKind.String) // some models write the object as a string
            {
                using var inner = JsonDocument.Parse(JsonText.Readable(arguments.GetString()!), lenient);
                return inner.RootElement.ValueKind == JsonValueKind.Object ? new ToolCall(name.GetString()!, inner.RootElement.Clone()) : null;
            }
            return arguments.ValueKind == JsonValueKind.Object ? new ToolCall(name.GetString()!, arguments.Clone()) : null;
        }
        catch (JsonException) { return null; }
    }
}
