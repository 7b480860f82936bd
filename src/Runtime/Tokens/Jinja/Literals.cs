using System.Globalization;
using System.Text;

namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Strings and numbers as a template writes them, read as Python reads them.</summary>
static class Literals
{
    /// <summary>The characters between the quotes. An unknown escape keeps its backslash; half a surrogate pair becomes U+FFFD.</summary>
    public static string Unescape(string body, int line)
    {
        if (!body.Contains('\\')) return body;
        var text = new StringBuilder(body.Length);
        for (int i = 0; i < body.Length; i++)
        {
            if (body[i] != '\\' || i + 1 == body.Length)
            {
                text.Append(body[i]);
                continue;
            }
            char c = body[++i];
            switch (c)
            {
                case '\n': break;
                case '\\' or '\'' or '"': text.Append(c); break;
                case 'a': text.Append('\a'); break;
                case 'b': text.Append('\b'); break;
                case 'f': text.Append('\f'); break;
                case 'n': text.Append('\n'); break;
                case 'r': text.Append('\r'); break;
                case 't': text.Append('\t'); break;
                case 'v': text.Append('\v'); break;
                case 'x': i += Code(body, i + 1, 2, text, line); break;
                case 'u': i += Code(body, i + 1, 4, text, line); break;
                case 'U': i += Code(body, i + 1, 8, text, line); break;
                case 'N': throw new TesseraException($"chat template, line {line}: the escape \\N is not part of the template language that Tessera runs");
                case >= '0' and <= '7':
                    int value = 0, digits = 0;
                    for (; digits < 3 && i + digits < body.Length && body[i + digits] is >= '0' and <= '7'; digits++)
                        value = value * 8 + body[i + digits] - '0';
                    text.Append((char)value);
                    i += digits - 1;
                    break;
                default: text.Append('\\').Append(c); break;
            }
        }
        return Unicode.Whole(text.ToString());
    }

    static int Code(string body, int at, int digits, StringBuilder to, int line)
    {
        if (at + digits > body.Length || !uint.TryParse(body.AsSpan(at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint code)
            || code > 0x10ffff)
            throw new TesseraException($"chat template, line {line}: an escape in a string wants {digits} hexadecimal digits of a character");
        if (code > 0xffff) to.Append(char.ConvertFromUtf32((int)code));
        else to.Append((char)code);
        return digits;
    }

    /// <summary>A whole number of 64 bits or a floating-point number, with Python's prefixes and underscores; null where it is none.</summary>
    public static object? Number(string spelling)
    {
        if (spelling.EndsWith('_') || spelling.Contains("__", StringComparison.Ordinal)) return null;
        string digits = spelling.Replace("_", "", StringComparison.Ordinal);
        if (digits.Length > 2 && digits[0] == '0' && char.IsAsciiLetter(digits[1]) && digits[1] is not ('e' or 'E'))
            return Numbers.Whole(digits[2..], digits[1] | 0x20) is { } prefixed ? prefixed : null;
        if (digits.Length > 1 && digits[0] == '0' && char.IsAsciiDigit(digits[1]) && digits.AsSpan().ContainsAnyExcept("0._eE")) return null;
        if (!digits.AsSpan().ContainsAny(".eE")) return Numbers.Whole(digits, 'd') is { } whole ? whole : null;
        return double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out double real) ? real : null;
    }
}
