using System.Text.Json;
using Tessera.Runtime.Tokens.Jinja;

namespace Tessera.Runtime.Tokens;

/// <summary>A model's own chat template, in the Jinja that Hugging Face templates use; parsed once, rendered for each prompt.</summary>
public sealed class ChatTemplate
{
    const int MaxSourceCharacters = 1 << 20;

    readonly List<Node> nodes;

    /// <exception cref="TesseraException">The template is outside the language: names the construct and the line.</exception>
    public ChatTemplate(string source)
    {
        if (source is null) throw new TesseraException("chat template: expected a text, found null");
        if (source.Length > MaxSourceCharacters)
            throw new TesseraException($"chat template: expected at most {MaxSourceCharacters} characters, found {source.Length}");
        nodes = Parser.Parse(Unicode.Whole(source));
    }

    /// <summary>
    /// The prompt of a conversation, each character marked as the template's or a message's. Half a surrogate pair in a message becomes U+FFFD.
    /// </summary>
    /// <exception cref="TesseraException">The template refuses the conversation, or takes too much work or memory.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public Text Render(IEnumerable<ChatMessage> messages, PromptOptions options, CancellationToken stop = default) =>
        Render(messages, options, new Meter(stop));

    internal Text Render(IEnumerable<ChatMessage> messages, PromptOptions options, Meter meter)
    {
        if (messages is null) throw new TesseraException("messages: expected a list, found null");
        if (options is null) throw new TesseraException("prompt: expected options, found null");
        if (options.Tools is null) throw new TesseraException("tools: expected a list, found null");
        if (options.Clock is null) throw new TesseraException("prompt: expected a clock, found null");
        var variables = new Dictionary<string, object?>(StringComparer.Ordinal)
        {
            ["messages"] = Listed(meter, messages, message => Message(meter, message)),
            ["tools"] = options.Tools.Count > 0 ? Listed(meter, options.Tools, tool => Given(meter, "tools", tool)) : null,
            ["documents"] = null,
            ["add_generation_prompt"] = options.AddGenerationPrompt,
            ["bos_token"] = new Text("", ""),
            ["eos_token"] = new Text("", ""),
        };
        if (options.Thinking is { } thinking) variables["enable_thinking"] = thinking;
        return Evaluator.Run(nodes, variables, meter, options.Clock);
    }

    static List<object?> Listed<T>(Meter meter, IEnumerable<T> items, Func<T, object?> read)
    {
        var list = new List<object?>();
        foreach (var item in items)
        {
            meter.List(1);
            list.Add(read(item));
        }
        return list;
    }

    static Dict Message(Meter meter, ChatMessage message)
    {
        if (message is null) throw new TesseraException("messages: expected a message, found null");
        if (message.Role is null) throw new TesseraException("messages: expected a role in each, found null");
        if (message.ToolCalls is null) throw new TesseraException("messages: expected a list of tool calls, found null");
        meter.Entries(6);
        var dict = new Dict { [role] = Marked(meter, message.Role), [content] = message.Content is null ? null : Marked(meter, message.Content) };
        if (message.Reasoning is not null) dict[reasoning] = Marked(meter, message.Reasoning);
        if (message.Name is not null) dict[name] = Marked(meter, message.Name);
        if (message.ToolCallId is not null) dict[callId] = Marked(meter, message.ToolCallId);
        if (message.ToolCalls.Count > 0) dict[calls] = Listed(meter, message.ToolCalls, call => Given(meter, "tool_calls", call));
        return dict;
    }

    static readonly object role = Text.Message("role"), content = Text.Message("content"), reasoning = Text.Message("reasoning_content"),
        calls = Text.Message("tool_calls"), name = Text.Message("name"), callId = Text.Message("tool_call_id");

    static object Marked(Meter meter, string text) => JsonValues.Message(meter, Unicode.Whole(text));

    static object? Given(Meter meter, string what, JsonElement json)
    {
        try
        {
            if (json.ValueKind != JsonValueKind.Object) throw new TesseraException($"{what}: expected JSON objects, found {json.ValueKind}");
            return JsonValues.Read(meter, json);
        }
        catch (ObjectDisposedException) { throw new TesseraException($"{what}: the JSON document was disposed before the prompt was made; clone the element"); }
    }
}
