namespace Tessera.Runtime.Tokens.Jinja;

enum TokenKind { Text, BlockBegin, BlockEnd, PrintBegin, PrintEnd, Name, Number, String, Operator, End }

readonly record struct Token(TokenKind Kind, string Value, int Line);

/// <summary>Cuts a template into tokens. White space is trimmed as Hugging Face sets it: trim_blocks and lstrip_blocks are on.</summary>
sealed class Lexer(string source)
{
    static readonly string[] operators = ["**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{", "}", ",", ":", ".", "|"];

    readonly List<Token> tokens = [];
    int at, line = 1;

    public static List<Token> Read(string source) => new Lexer(source.ReplaceLineEndings("\n")).Read();

    List<Token> Read()
    {
        if (source.EndsWith('\n')) source = source[..^1]; // keep_trailing_newline is off
        bool trimStart = false, afterBlock = false;
        while (at < source.Length)
        {
            int open = NextOpening(at);
            string text = source[at..open];
            if (afterBlock && text.StartsWith('\n')) text = text[1..];
            if (trimStart) text = text.TrimStart();
            char kind = open < source.Length ? source[open + 1] : ' ';
            bool dash = open + 2 < source.Length && source[open + 2] == '-', plus = open + 2 < source.Length && source[open + 2] == '+';
            if (dash && open < source.Length) text = text.TrimEnd();
            else if (!plus && (kind is '%' or '#')) text = StripLine(text, open);
            if (text.Length > 0) tokens.Add(new(TokenKind.Text, text, line));
            line += source.AsSpan(at, open - at).Count('\n');
            if (open == source.Length) break;
            at = open + 2 + (dash || plus ? 1 : 0);
            if (kind == '#') (trimStart, afterBlock) = Comment();
            else (trimStart, afterBlock) = (Tag(kind == '%'), kind == '%');
        }
        tokens.Add(new(TokenKind.End, "", line));
        return tokens;
    }

    int NextOpening(int from)
    {
        for (int i = from; i + 1 < source.Length; i++)
            if (source[i] == '{' && (source[i + 1] is '{' or '%' or '#')) return i;
        return source.Length;
    }

    /// <summary>lstrip_blocks: blanks between the start of the line and a block.</summary>
    string StripLine(string text, int open)
    {
        int blank = text.Length;
        while (blank > 0 && text[blank - 1] is ' ' or '\t') blank--;
        bool lineStart = blank > 0 ? text[blank - 1] == '\n' : open - text.Length == 0 || source[open - text.Length - 1] == '\n';
        return lineStart ? text[..blank] : text;
    }

    (bool, bool) Comment()
    {
        int end = source.IndexOf("#}", at, StringComparison.Ordinal);
        if (end < 0) throw Wrong("a comment is not closed");
        bool trim = end > at && source[end - 1] == '-';
        line += source.AsSpan(at, end - at).Count('\n');
        at = end + 2;
        return (trim, true);
    }

    /// <summary>Reads a tag to its end; true where the text behind it is to be trimmed.</summary>
    bool Tag(bool block)
    {
        tokens.Add(new(block ? TokenKind.BlockBegin : TokenKind.PrintBegin, block ? "{%" : "{{", line));
        string close = block ? "%}" : "}}";
        int braces = 0;
        while (true)
        {
            while (at < source.Length && char.IsWhiteSpace(source[at])) if (source[at++] == '\n') line++;
            if (at >= source.Length) throw Wrong($"'{close}' is missing");
            bool trim = source[at] is '-' or '+' && string.CompareOrdinal(source, at + 1, close, 0, 2) == 0;
            if (trim || braces == 0 && string.CompareOrdinal(source, at, close, 0, 2) == 0)
            {
                bool dash = trim && source[at] == '-';
                at += trim ? 3 : 2;
                tokens.Add(new(block ? TokenKind.BlockEnd : TokenKind.PrintEnd, close, line));
                return dash;
            }
            var token = Next();
            if (token is { Kind: TokenKind.Operator, Value: "{" }) braces++;
            if (token is { Kind: TokenKind.Operator, Value: "}" }) braces--;
            tokens.Add(token);
        }
    }

    Token Next()
    {
        char c = source[at];
        int start = at;
        if (char.IsLetter(c) || c == '_')
        {
            while (at < source.Length && (char.IsLetterOrDigit(source[at]) || source[at] == '_')) at++;
            return new(TokenKind.Name, source[start..at], line);
        }
        if (char.IsAsciiDigit(c))
        {
            while (at < source.Length && (char.IsAsciiDigit(source[at]) || source[at] == '.' && at + 1 < source.Length && char.IsAsciiDigit(source[at + 1]))) at++;
            return new(TokenKind.Number, source[start..at], line);
        }
        if (c is '\'' or '"') return Quoted(c);
        foreach (string op in operators)
            if (string.CompareOrdinal(source, at, op, 0, op.Length) == 0)
            {
                at += op.Length;
                return new(TokenKind.Operator, op, line);
            }
        throw Wrong($"'{c}' is not understood");
    }

    Token Quoted(char quote)
    {
        int first = line;
        var text = new System.Text.StringBuilder();
        for (at++; at < source.Length && source[at] != quote; at++)
        {
            char c = source[at];
            if (c == '\n') line++;
            if (c == '\\' && at + 1 < source.Length)
                c = source[++at] switch { 'n' => '\n', 't' => '\t', 'r' => '\r', 'b' => '\b', 'f' => '\f', var other => other };
            text.Append(c);
        }
        if (at++ >= source.Length) throw Wrong("a string is not closed");
        return new(TokenKind.String, text.ToString(), first);
    }

    TesseraException Wrong(string what) => new($"chat template, line {line}: {what}");
}
