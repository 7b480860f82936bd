namespace Tessera.Runtime.Tokens;

/// <summary>Tells thinking from answer while ids come in. The markers and the empty lines behind them belong to neither.</summary>
public sealed class Thinking
{
    readonly int? open, close;
    bool atStart = true;

    /// <param name="prompt">The prompt's ids: one that ends inside a thinking block starts inside.</param>
    public Thinking(Tokenizer tokenizer, ReadOnlySpan<int> prompt)
    {
        (open, close) = (tokenizer.Find("<think>"), tokenizer.Find("</think>"));
        if (open is not { } start) return;
        int last = prompt.LastIndexOf(start);
        Inside = last >= 0 && (close is not { } end || prompt.LastIndexOf(end) < last) && prompt.Length - last <= 3; // the marker and a line end
    }

    public bool Inside { get; private set; }

    /// <summary>True where an id is a marker and no text.</summary>
    public bool Marks(int id)
    {
        if (id != open && id != close) return false;
        Inside = id == open;
        atStart = true;
        return true;
    }

    /// <summary>Drops the line ends before the first character of a part.</summary>
    public string Trim(string text)
    {
        if (!atStart) return text;
        text = text.TrimStart('\n');
        atStart = text.Length == 0;
        return text;
    }
}
