using System.Text;

namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>A text that grows, charged before it does: each character keeps its origin.</summary>
sealed class TextBuilder
{
    readonly Meter meter;
    readonly StringBuilder value = new(), origin = new();

    public TextBuilder(Meter meter)
    {
        meter.Bytes(320);
        this.meter = meter;
    }

    public int Length => value.Length;

    public void Append(Text text)
    {
        Grow(text.Value.Length);
        value.Append(text.Value);
        origin.Append(text.Origin);
    }

    public void Append(Text text, int start, int length)
    {
        Grow(length);
        value.Append(text.Value, start, length);
        origin.Append(text.Origin, start, length);
    }

    /// <summary>Characters that no template wrote: numbers, quotes, JSON.</summary>
    public void Message(ReadOnlySpan<char> text)
    {
        Grow(text.Length);
        value.Append(text);
        origin.Append(Text.FromMessage, text.Length);
    }

    public void Message(char c, int times = 1)
    {
        Grow(times);
        value.Append(c, times);
        origin.Append(Text.FromMessage, times);
    }

    /// <summary>A character is about to be written as an escape, which is a string of its own.</summary>
    public void Escape()
    {
        meter.Elements(1);
        meter.Bytes(40);
    }

    public Text Build()
    {
        meter.Text(value.Length);
        return new Text(value.ToString(), origin.ToString());
    }

    void Grow(long more)
    {
        if (value.Length + more > Text.MaxCharacters) meter.Text(value.Length + more); // refuses
        meter.Scanned(more);
        meter.Bytes(4 * more);
    }
}
