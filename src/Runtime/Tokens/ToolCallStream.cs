using System.Text;

namespace Tessera.Runtime.Tokens;

/// <summary>
/// Finds the calls in an answer while its text comes: what <see cref="ToolCalls.Parse"/> finds in the whole of it, each as soon as it is closed.
/// </summary>
public sealed class ToolCallStream
{
    readonly StringBuilder pending = new();              // what may begin a marker; or a marker and the call behind it
    int lineEnds;                                        // before pending: text, unless a call follows
    int searched;                                        // of pending, within a call: no close begins before
    bool inCall, anyCall;

    /// <summary>Takes more text: what of it is text is given out, and the calls that it completes.</summary>
    public string Append(string text, List<ToolCall> calls)
    {
        var shown = new StringBuilder();
        pending.Append(text);
        while (inCall ? Close(shown, calls) : Open(shown)) { }
        return shown.ToString();
    }

    /// <summary>The end of the answer: the rest of the text, and a call that was not closed.</summary>
    public string Flush(List<ToolCall> calls)
    {
        var shown = new StringBuilder();
        if (inCall) Take(pending.Length, pending.Length, shown, calls);
        else if (!anyCall) shown.Append('\n', lineEnds).Append(pending);
        pending.Clear();
        (inCall, lineEnds) = (false, 0);
        return shown.ToString();
    }

    /// <summary>Gives out text up to the next call; false where there is none yet.</summary>
    bool Open(StringBuilder shown)
    {
        string all = pending.ToString();
        int at = all.IndexOf(ToolCalls.Open, StringComparison.Ordinal), end = at >= 0 ? at : all.Length - Started(all);
        int text = all.AsSpan(0, end).TrimEnd('\n').Length;
        if (text > 0 && !anyCall) shown.Append('\n', lineEnds).Append(all, 0, text);
        lineEnds = (text > 0 ? 0 : lineEnds) + end - text;
        pending.Remove(0, end);
        (inCall, searched) = (at >= 0, ToolCalls.Open.Length);
        return inCall;
    }

    /// <summary>Takes the call at hand where it is closed.</summary>
    bool Close(StringBuilder shown, List<ToolCall> calls)
    {
        string rest = pending.ToString(searched, pending.Length - searched);
        int at = rest.IndexOf(ToolCalls.Close, StringComparison.Ordinal);
        if (at < 0)
        {
            searched += Math.Max(0, rest.Length - ToolCalls.Close.Length + 1);
            return false;
        }
        Take(searched + at + ToolCalls.Close.Length, searched + at, shown, calls);
        inCall = false;
        return true;
    }

    /// <summary>A valid call is one; another is text, before the first valid one.</summary>
    /// <param name="length">Of the call with its markers.</param>
    /// <param name="end">Where its body ends.</param>
    void Take(int length, int end, StringBuilder shown, List<ToolCall> calls)
    {
        if (ToolCalls.Read(pending.ToString(ToolCalls.Open.Length, end - ToolCalls.Open.Length)) is { } call)
        {
            calls.Add(call);
            anyCall = true;
        }
        else if (!anyCall) shown.Append('\n', lineEnds).Append(pending, 0, length);
        lineEnds = 0;
        pending.Remove(0, length);
    }

    /// <summary>Characters at a text's end that a marker may begin with.</summary>
    static int Started(string text)
    {
        int at = text.LastIndexOf('<');
        return at >= 0 && ToolCalls.Open.AsSpan().StartsWith(text.AsSpan(at)) ? text.Length - at : 0;
    }
}
