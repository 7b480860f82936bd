using System.Text;

namespace Tessera.Runtime.Tokens;

/// <summary>Turns ids into text as they come, holding back bytes until their character is whole.</summary>
public sealed class TextStream(Tokenizer tokenizer)
{
    readonly Decoder decoder = Encoding.UTF8.GetDecoder(); // writes U+FFFD for what cannot become a character
    char[] chars = new char[64];

    /// <summary>The text that an id completes; empty for control tokens and unfinished characters.</summary>
    public string Append(int id) => tokenizer.IsSpecial(id) ? "" : Append(tokenizer.BytesOf(id), flush: false);

    /// <summary>What is left of an unfinished character at the end.</summary>
    public string Flush() => Append([], flush: true);

    /// <summary>The text that bytes complete; <paramref name="flush"/>: none follow.</summary>
    public string Append(ReadOnlySpan<byte> bytes, bool flush)
    {
        int most = Encoding.UTF8.GetMaxCharCount(bytes.Length) + 4;
        if (chars.Length < most) chars = new char[most];
        return new string(chars, 0, decoder.GetChars(bytes, chars, flush));
    }
}
