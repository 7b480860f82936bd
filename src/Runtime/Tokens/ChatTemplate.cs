using Tessera.Runtime.Tokens.Jinja;

namespace Tessera.Runtime.Tokens;

/// <summary>A model's own chat template, in the subset of Jinja that Hugging Face templates use; parsed once, rendered for each prompt.</summary>
public sealed class ChatTemplate
{
    const int MaxSourceCharacters = 1 << 20;

    readonly List<Node> nodes;

    /// <exception cref="TesseraException">The template is outside the language: names the construct and the line.</exception>
    public ChatTemplate(string source)
    {
        if (source.Length > MaxSourceCharacters) throw new TesseraException($"chat template: expected at most {MaxSourceCharacters} characters, found {source.Length}");
        nodes = Parser.Parse(source);
    }

    /// <summary>The prompt of a conversation, each character marked as the template's or a message's.</summary>
    /// <exception cref="TesseraException">The template refuses the conversation, or goes past a bound.</exception>
    public Text Render(IEnumerable<ChatMessage> messages, PromptOptions options)
    {
        var variables = new Dict
        {
            ["messages"] = messages.Select(Message).ToList(),
            ["add_generation_prompt"] = options.AddGenerationPrompt,
            ["bos_token"] = Text.Template(""),
            ["eos_token"] = Text.Template(""),
        };
        if (options.Tools.Count > 0) variables["tools"] = options.Tools.Select(Values.FromJson).ToList();
        if (options.Thinking is { } thinking) variables["enable_thinking"] = thinking;
        try { return Evaluator.Run(nodes, variables); }
        catch (InvalidOperationException e) when (e.InnerException is TesseraException inner) { throw inner; } // a comparison inside a sort
    }

    static object? Message(ChatMessage message)
    {
        var dict = new Dict { ["role"] = Text.Message(message.Role), ["content"] = message.Content is null ? null : Text.Message(message.Content) };
        if (message.Reasoning is not null) dict["reasoning_content"] = Text.Message(message.Reasoning);
        if (message.ToolCalls.Count > 0) dict["tool_calls"] = message.ToolCalls.Select(Values.FromJson).ToList();
        return dict;
    }
}
