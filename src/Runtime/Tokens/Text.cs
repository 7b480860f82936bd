namespace Tessera.Runtime.Tokens;

/// <summary>A string that knows of each character whether the template wrote it or a message: only the template's special tokens are recognised.</summary>
public readonly record struct Text
{
    /// <summary>No prompt is longer; a template that builds more is refused before memory is.</summary>
    internal const int MaxCharacters = 16 << 20;

    internal const char FromTemplate = 't', FromMessage = 'm';

    readonly string? origin; // as long as the value: one mark for each character

    internal Text(string value, string origin) => (Value, this.origin) = (value, origin);

    public string Value { get; } = "";

    public bool IsTemplate(int at) => origin![at] == FromTemplate;

    internal string Origin => origin ?? "";

    /// <summary>A changed form: of the same length, each character keeps its origin; of another, it is the template's where all of this is.</summary>
    internal Text Changed(string value) =>
        value.Length == Value.Length ? new(value, Origin) : Origin.AsSpan().Contains(FromMessage) ? Message(value) : Template(value);

    public static Text Template(string value) => new(value, new string(FromTemplate, value.Length));

    public static Text Message(string value) => new(value, new string(FromMessage, value.Length));

    public static Text operator +(Text a, Text b) => Concat([a, b]);

    public Text Slice(int start, int length) => new(Value.Substring(start, length), origin!.Substring(start, length));

    public static Text Concat(IReadOnlyCollection<Text> parts)
    {
        if (parts.Sum(p => (long)p.Value.Length) > MaxCharacters) throw new TesseraException($"chat template: a text grows past {MaxCharacters} characters");
        return new(string.Concat(parts.Select(p => p.Value)), string.Concat(parts.Select(p => p.origin)));
    }
}
