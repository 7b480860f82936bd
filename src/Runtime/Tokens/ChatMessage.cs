using System.Text.Json;

namespace Tessera;

/// <summary>One turn of a conversation.</summary>
/// <param name="Role">system, user, assistant or tool.</param>
/// <param name="Content">The turn's text; null where an assistant only calls tools.</param>
public sealed record ChatMessage(string Role, string? Content)
{
    /// <summary>An assistant's thinking; templates drop it from past turns.</summary>
    public string? Reasoning { get; init; }

    /// <summary>Who speaks, or the function whose result this is: for templates that show it.</summary>
    public string? Name { get; init; }

    /// <summary>The call whose result this is: for templates that show it.</summary>
    public string? ToolCallId { get; init; }

    /// <summary>An assistant's calls, each an object with name and arguments, as such or inside "function".</summary>
    public IReadOnlyList<JsonElement> ToolCalls { get; init; } = [];
}

/// <summary>What a prompt is rendered with.</summary>
public sealed record PromptOptions
{
    /// <summary>Function definitions, as JSON objects.</summary>
    public IReadOnlyList<JsonElement> Tools { get; init; } = [];

    /// <summary>Null: the template's own default.</summary>
    public bool? Thinking { get; init; }

    public bool AddGenerationPrompt { get; init; } = true;

    /// <summary>Where a template that writes the date (strftime_now) reads it.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;
}
