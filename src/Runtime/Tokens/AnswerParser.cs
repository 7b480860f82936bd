namespace Tessera.Runtime.Tokens;

/// <summary>What an answer's ids become: a piece of text, of the thinking or of what is said, or a whole tool call.</summary>
/// <param name="Text">Whole characters; empty with a call.</param>
/// <param name="Thinking">Part of the thinking.</param>
/// <param name="Call">Null with text.</param>
public readonly record struct AnswerUpdate(string Text, bool Thinking, ToolCall? Call = null);

/// <summary>Takes an answer apart while its ids come in: thinking, text and tool calls, up to a stop string, of which nothing is shown.</summary>
public sealed class AnswerParser
{
    readonly AnswerBytes bytes;
    readonly TextStream text;
    readonly ToolCallStream? calls;
    readonly List<ToolCall> found = [];

    /// <param name="prompt">The prompt's ids: one that ends inside a thinking block starts inside.</param>
    /// <param name="stops">What ends the answer, see <see cref="StopStrings"/>.</param>
    /// <param name="parseCalls">Calls are given out whole; without it they are text.</param>
    /// <exception cref="TesseraException">There is no tokenizer, or a stop string is empty, too long or one too many.</exception>
    public AnswerParser(Tokenizer tokenizer, ReadOnlySpan<int> prompt, IReadOnlyList<string> stops, bool parseCalls)
    {
        (bytes, text) = (new AnswerBytes(tokenizer, prompt, stops), new TextStream(tokenizer));
        calls = parseCalls ? new ToolCallStream() : null;
    }

    /// <summary>Whether a stop string was found: what follows is no answer.</summary>
    public bool IsStopped => bytes.IsStopped;

    /// <summary>Whether the next id is part of the thinking.</summary>
    public bool IsThinking => bytes.Thinking.Inside;

    /// <summary>Ids that were thinking.</summary>
    public int ThinkingCount => bytes.Thinking.Count;

    /// <summary>Adds what an id completes to the updates.</summary>
    public void Append(int id, List<AnswerUpdate> updates)
    {
        bool inside = bytes.Thinking.Inside;
        var more = bytes.Append(id, out bool ends);
        Add(text.Append(more, ends || bytes.IsStopped), inside, updates);
    }

    /// <summary>Adds what is left at the end of the answer.</summary>
    public void End(List<AnswerUpdate> updates)
    {
        Add(text.Append(bytes.Flush(), flush: true), bytes.Thinking.Inside, updates);
        if (calls is null) return;
        Give(calls.Flush(found), updates);
    }

    void Add(string piece, bool inside, List<AnswerUpdate> updates)
    {
        if (piece.Length == 0) return;
        if (inside || calls is null) updates.Add(new AnswerUpdate(piece, inside));
        else Give(calls.Append(piece, found), updates);
    }

    void Give(string piece, List<AnswerUpdate> updates)
    {
        if (piece.Length > 0) updates.Add(new AnswerUpdate(piece, Thinking: false));
        foreach (var call in found) updates.Add(new AnswerUpdate("", Thinking: false, call));
        found.Clear();
    }
}
