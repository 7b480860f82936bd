namespace Tessera.Runtime.Tokens;

/// <summary>A string that knows of each character whether the template wrote it or a message: only the template's special tokens are recognised.</summary>
public readonly record struct Text
{
    const char FromTemplate = 't', FromMessage = 'm';

    readonly string? origin; // as long as the value: one mark for each character

    Text(string value, string origin) => (Value, this.origin) = (value, origin);

    public string Value { get; } = "";

    public bool IsTemplate(int at) => origin![at] == FromTemplate;

    public static Text Template(string value) => new(value, new string(FromTemplate, value.Length));

    public static Text Message(string value) => new(value, new string(FromMessage, value.Length));

    public static Text operator +(Text a, Text b) => new(a.Value + b.Value, a.origin + b.origin);

    public Text Slice(int start, int length) => new(Value.Substring(start, length), origin!.Substring(start, length));

    public static Text Concat(IReadOnlyCollection<Text> parts) => new(string.Concat(parts.Select(p => p.Value)), string.Concat(parts.Select(p => p.origin)));
}
