namespace Tessera.Runtime.Tokens;

/// <summary>A string that knows of each character whether the template wrote it or a message: only the template's special tokens are recognised.</summary>
public readonly record struct Text
{
    /// <summary>No prompt is longer; a template that builds more is refused before memory is.</summary>
    internal const int MaxCharacters = 16 << 20;

    internal const char FromTemplate = 't', FromMessage = 'm';

    readonly string? value, origin; // equally long: one mark for each character

    internal Text(string value, string origin) => (this.value, this.origin) = (value, origin);

    public string Value => value ?? "";

    public bool IsTemplate(int at) => origin![at] == FromTemplate;

    /// <summary>Whether the template wrote all of these characters.</summary>
    public bool IsTemplate(int start, int length) => !Origin.AsSpan(start, length).Contains(FromMessage);

    internal string Origin => origin ?? "";

    /// <summary>A changed form: of the same length, each character keeps its origin; of another, it is the template's where all of this is.</summary>
    internal Text Changed(string value) =>
        value.Length == Value.Length ? new(value, Origin) : Origin.AsSpan().Contains(FromMessage) ? Message(value) : Template(value);

    /// <summary>Text as it enters: what is not Unicode, half of a surrogate pair, becomes U+FFFD.</summary>
    public static Text Template(string value) => new(Unicode.Whole(value), new string(FromTemplate, value.Length));

    /// <inheritdoc cref="Template"/>
    public static Text Message(string value) => new(Unicode.Whole(value), new string(FromMessage, value.Length));

    public static Text operator +(Text a, Text b) => Concat([a, b]);

    public Text Slice(int start, int length) => new(Value.Substring(start, length), Origin.Substring(start, length));

    /// <summary>The same text, Unicode though a slice may have cut a pair.</summary>
    internal Text Whole() => new(Unicode.Whole(Value), Origin);

    public static Text Concat(IReadOnlyCollection<Text> parts)
    {
        if (parts.Sum(p => (long)p.Value.Length) > MaxCharacters) throw new TesseraException($"chat template: a text grows past {MaxCharacters} characters");
        return new(string.Concat(parts.Select(p => p.Value)), string.Concat(parts.Select(p => p.origin)));
    }
}
