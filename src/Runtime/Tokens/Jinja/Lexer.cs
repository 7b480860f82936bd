namespace Tessera.Runtime.Tokens.Jinja;

enum TokenKind { Text, BlockBegin, BlockEnd, PrintBegin, PrintEnd, Name, Number, String, Operator, End }

readonly record struct Token(TokenKind Kind, string Value, int Line);

/// <summary>Cuts a template into tokens. White space is trimmed as Hugging Face sets it: trim_blocks and lstrip_blocks are on.</summary>
sealed class Lexer(string source)
{
    const int MaxTokens = 1 << 18;

    static readonly string[] operators = ["**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{", "}", ",",
        ":", ".", "|"];

    readonly List<Token> tokens = [];
    readonly Stack<char> open = new(); // brackets within a tag: its end is looked for outside of them only
    int at, line = 1;

    public static List<Token> Read(string source)
    {
        source = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        return new Lexer(source.EndsWith('\n') ? source[..^1] : source).Read(); // keep_trailing_newline is off
    }

    List<Token> Read()
    {
        bool lineStart = true; // nothing but what was trimmed stands between here and the start of a line
        while (at < source.Length)
        {
            int tag = NextTag(at);
            var text = source.AsSpan(at, tag - at);
            if (tag < source.Length)
            {
                char sign = tag + 2 < source.Length ? source[tag + 2] : ' ';
                if (sign == '-') text = TrimEnd(text);
                else if (sign != '+' && source[tag + 1] != '{') text = StripLine(text, lineStart);
            }
            if (text.Length > 0) Add(TokenKind.Text, text.ToString(), line);
            line += source.AsSpan(at, tag - at).Count('\n');
            if (tag == source.Length) break;
            at = tag + (tag + 2 < source.Length && source[tag + 2] is '-' or '+' ? 3 : 2);
            char kind = source[tag + 1];
            if (kind == '#') EndComment();
            else Tag(kind == '%');
            lineStart = kind != '{' && source[at - 1] == '\n';
        }
        Add(TokenKind.End, "", line);
        return tokens;
    }

    void Add(TokenKind kind, string value, int atLine)
    {
        if (tokens.Count >= MaxTokens) throw Wrong($"more than {MaxTokens} words and signs");
        tokens.Add(new(kind, value, atLine));
    }

    int NextTag(int from)
    {
        for (int i = from; i + 1 < source.Length; i++)
            if (source[i] == '{' && (source[i + 1] is '{' or '%' or '#')) return i;
        return source.Length;
    }

    static ReadOnlySpan<char> TrimEnd(ReadOnlySpan<char> text)
    {
        while (text.Length > 0 && Strings.IsSpace(text[^1])) text = text[..^1];
        return text;
    }

    /// <summary>lstrip_blocks: blanks between the start of the line and a block.</summary>
    static ReadOnlySpan<char> StripLine(ReadOnlySpan<char> text, bool lineStart)
    {
        int from = text.LastIndexOf('\n') + 1;
        return (from > 0 || lineStart) && TrimEnd(text[from..]).Length == 0 ? text[..from] : text;
    }

    void EndComment()
    {
        int end = source.IndexOf("#}", at, StringComparison.Ordinal);
        if (end < 0) throw Wrong("a comment is not closed");
        line += source.AsSpan(at, end - at).Count('\n');
        char sign = end > at ? source[end - 1] : ' ';
        at = end + 2;
        TrimBehind(sign, block: true);
    }

    /// <summary>What a tag's end takes with it: all white space, or the end of the line behind a block.</summary>
    void TrimBehind(char sign, bool block)
    {
        if (sign == '-')
            while (at < source.Length && Strings.IsSpace(source[at])) Next();
        else if (block && sign != '+' && at < source.Length && source[at] == '\n') Next();
    }

    char Next()
    {
        if (source[at] == '\n') line++;
        return source[at++];
    }

    void Tag(bool block)
    {
        Add(block ? TokenKind.BlockBegin : TokenKind.PrintBegin, block ? "{%" : "{{", line);
        string close = block ? "%}" : "}}";
        open.Clear();
        while (true)
        {
            while (at < source.Length && Strings.IsSpace(source[at])) Next();
            if (at >= source.Length) throw Wrong($"'{close}' is missing");
            if (open.Count == 0)
            {
                char sign = source[at] == '-' || block && source[at] == '+' ? source[at] : ' ';
                int end = sign == ' ' ? at : at + 1;
                if (string.CompareOrdinal(source, end, close, 0, 2) == 0)
                {
                    at = end + 2;
                    Add(block ? TokenKind.BlockEnd : TokenKind.PrintEnd, close, line);
                    TrimBehind(sign, block);
                    return;
                }
            }
            Word();
        }
    }

    void Word()
    {
        char c = source[at];
        int start = at;
        if (char.IsLetter(c) || c == '_')
        {
            while (at < source.Length && (char.IsLetterOrDigit(source[at]) || source[at] == '_')) at++;
            Add(TokenKind.Name, source[start..at], line);
        }
        else if (char.IsAsciiDigit(c)) Number(start);
        else if (c is '\'' or '"') Quoted(c);
        else Operator();
    }

    /// <summary>Letters are taken too: an exponent, a base's prefix, or an error.</summary>
    void Number(int start)
    {
        bool prefixed = source[at] == '0' && at + 1 < source.Length && (source[at + 1] | 0x20) is 'x' or 'o' or 'b';
        while (at < source.Length)
        {
            char c = source[at];
            bool exponent = !prefixed && (c | 0x20) == 'e' && at + 1 < source.Length && (char.IsAsciiDigit(source[at + 1]) || source[at + 1] is '+' or '-');
            if (exponent) at++; // its sign
            else if (c == '.' ? prefixed || at + 1 >= source.Length || !char.IsAsciiDigit(source[at + 1])
                || tokens[^1] is { Kind: TokenKind.Operator, Value: "." }
                : !char.IsAsciiLetterOrDigit(c) && c != '_') break;
            at++;
        }
        Add(TokenKind.Number, source[start..Math.Min(at, source.Length)], line);
    }

    void Quoted(char quote)
    {
        int first = line, start = ++at;
        while (at < source.Length && source[at] != quote)
            if (Next() == '\\' && at < source.Length) Next();
        if (at >= source.Length) throw Wrong("a string is not closed");
        Add(TokenKind.String, Literals.Unescape(source[start..at++], first), first);
    }

    void Operator()
    {
        foreach (string op in operators)
        {
            if (string.CompareOrdinal(source, at, op, 0, op.Length) != 0) continue;
            char c = op[0];
            if (c is '(' or '[' or '{') open.Push(c);
            else if (c is ')' or ']' or '}' && (!open.TryPop(out char opened) || opened != (c == ')' ? '(' : c == ']' ? '[' : '{')))
                throw Wrong($"'{c}' closes nothing");
            Add(TokenKind.Operator, op, line);
            at += op.Length;
            return;
        }
        throw Wrong($"'{source[at]}' is not understood");
    }

    TesseraException Wrong(string what) => new($"chat template, line {line}: {what}");
}
