namespace Tessera.Runtime.Tokens;

/// <summary>Tells thinking from answer while ids come in. The markers and the empty lines behind them belong to neither.</summary>
public sealed class Thinking
{
    /// <summary>What Qwen's makers let a model say when it has thought long enough.</summary>
    const string StopText = "\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly now.\n</think>\n\n";

    readonly int? open, close;
    bool atStart = true;

    /// <param name="prompt">The prompt's ids: one that ends inside a thinking block starts inside.</param>
    /// <exception cref="TesseraException">There is no tokenizer.</exception>
    public Thinking(Tokenizer tokenizer, ReadOnlySpan<int> prompt)
    {
        if (tokenizer is null) throw new TesseraException("thinking: expected a tokenizer, found null; convert the model with one");
        (open, close) = (tokenizer.Find("<think>"), tokenizer.Find("</think>"));
        if (open is not { } start) return;
        int last = prompt.LastIndexOf(start);
        Inside = last >= 0 && (close is not { } end || prompt.LastIndexOf(end) < last) && prompt.Length - last <= 3; // the marker and a line end
    }

    public bool Inside { get; private set; }

    /// <summary>Ids that were thinking, markers apart.</summary>
    public int Count { get; private set; }

    /// <summary>Takes the next id; true where it is a marker and no text.</summary>
    public bool Marks(int id)
    {
        if (id != open && id != close)
        {
            if (Inside) Count++;
            return false;
        }
        Inside = id == open;
        atStart = true;
        return true;
    }

    /// <summary>Drops the line ends before the first character of a part.</summary>
    public ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> text)
    {
        if (!atStart) return text;
        text = text.TrimStart((byte)'\n');
        atStart = text.Length == 0;
        return text;
    }

    /// <summary>The ids that end thinking from outside, as the model's makers do it; none where a tokenizer knows no end of thinking.</summary>
    /// <exception cref="TesseraException">There is no tokenizer.</exception>
    public static int[] StopIds(Tokenizer tokenizer)
    {
        if (tokenizer is null) throw new TesseraException("thinking budget: expected a tokenizer, found null; convert the model with one");
        return tokenizer.Find("</think>") is null ? [] : tokenizer.Encode(StopText, added: true);
    }

    /// <summary>The ids that the answer goes on with instead of a drawn one: the stop's where thinking has had its budget, else none.</summary>
    /// <param name="budget">Ids of thinking; null: no limit.</param>
    /// <param name="stopIds">See <see cref="StopIds"/>.</param>
    public static ReadOnlySpan<int> Forced(Thinking state, int? budget, int[] stopIds) =>
        state.Inside && budget is { } most && state.Count >= most ? stopIds : [];
}
