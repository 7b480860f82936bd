namespace Tessera.Runtime.Tokens;

/// <summary>
/// The bytes of an answer as its ids come: control tokens and thinking's markers are none, and a stop string ends it, which is looked for behind the thinking
/// only. It makes no text and allocates nothing for an id, so that a scheduler may follow every answer.
/// </summary>
public sealed class AnswerBytes
{
    readonly Tokenizer tokenizer;
    readonly Thinking thinking;
    readonly StopStrings stops;

    /// <param name="prompt">The prompt's ids: one that ends inside a thinking block starts inside.</param>
    /// <exception cref="TesseraException">There is no tokenizer, or a stop string is empty, too long or one too many.</exception>
    public AnswerBytes(Tokenizer tokenizer, ReadOnlySpan<int> prompt, IReadOnlyList<string> stops)
    {
        (thinking, this.stops) = (new Thinking(tokenizer, prompt), new StopStrings(stops));
        this.tokenizer = tokenizer;
    }

    /// <summary>Where the next id belongs.</summary>
    public Thinking Thinking => thinking;

    /// <summary>Whether a stop string was found: nothing follows.</summary>
    public bool IsStopped => stops.Found >= 0;

    /// <summary>The bytes that an id makes known, of the part that it belongs to; valid until the next call.</summary>
    /// <param name="ends">The part ends before this id: what was kept back of it comes, and an unfinished character stays one.</param>
    public ReadOnlySpan<byte> Append(int id, out bool ends)
    {
        ends = false;
        if (IsStopped) return [];
        bool inside = thinking.Inside;
        if (thinking.Marks(id))
        {
            ends = true;
            return inside ? [] : stops.Flush();
        }
        if (tokenizer.IsSpecial(id)) return [];
        var bytes = thinking.Trim(tokenizer.BytesOf(id));
        return inside ? bytes : stops.Append(bytes);
    }

    /// <summary>What was kept back, at the end.</summary>
    public ReadOnlySpan<byte> Flush() => stops.Flush();
}
