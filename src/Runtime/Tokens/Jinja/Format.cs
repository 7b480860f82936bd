using System.Globalization;

namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Python's format % values, with %s, %d, %i, %f, %x and %%, flags - and 0, width and precision. Others are refused.</summary>
static class Format
{
    /// <param name="values">A tuple, or a mapping for %(name)s, or one value.</param>
    public static Text Percent(Meter meter, Text format, object? values)
    {
        var to = new TextBuilder(meter);
        string text = format.Value;
        var list = values is Dict ? null : values as Tuple ?? [values];
        int used = 0, from = 0;
        for (int at; (at = text.IndexOf('%', from)) >= 0;)
        {
            meter.Characters(64 + at - from);
            to.Append(format, from, at - from);
            int i = at + 1;
            string? key = null;
            if (i < text.Length && text[i] == '(')
            {
                int close = text.IndexOf(')', i);
                if (close < 0) throw meter.Wrong("format: a key is not closed");
                meter.Characters(close - i);
                (key, i) = (text[(i + 1)..close], close + 1);
            }
            bool left = false, zero = false;
            for (; i < text.Length && text[i] is '-' or '0'; i++) (left, zero) = (left || text[i] == '-', zero || text[i] == '0');
            int width = Digits(meter, text, ref i) ?? 0, precision = -1;
            if (i < text.Length && text[i] == '.')
            {
                i++;
                precision = Digits(meter, text, ref i) ?? 0;
            }
            if (i >= text.Length) throw meter.Wrong("format: the last % is not complete");
            from = i + 1;
            if (text[i] == '%')
            {
                to.Append(format, i, 1);
                continue;
            }
            object? value = key is not null ? (values as Dict)?.GetValueOrDefault(key, Undefined.Value) ?? throw meter.Wrong("format: a key wants a mapping")
                : list is not null && used < list.Count ? list[used++] : throw meter.Wrong("format: not enough values");
            var shown = One(meter, text[i], value, precision);
            to.Append(zero && !left && text[i] != 's' ? StringMethods.ZeroFill(meter, shown, width)
                : StringMethods.Pad(meter, shown, width, null, left: !left, right: left));
        }
        to.Append(format, from, text.Length - from);
        if (list is not null && used < list.Count) throw meter.Wrong("format: more values than places");
        return to.Build();
    }

    static int? Digits(Meter meter, string text, ref int i)
    {
        int from = i;
        while (i < text.Length && char.IsAsciiDigit(text[i])) i++;
        if (i - from > 4) throw meter.Wrong("format: a width has at most 4 digits");
        return i > from ? int.Parse(text.AsSpan(from, i - from), CultureInfo.InvariantCulture) : null;
    }

    static Text One(Meter meter, char kind, object? value, int precision)
    {
        if (kind == 's')
        {
            var text = Printing.Written(meter, value);
            return precision < 0 ? text : Strings.Part(meter, text, 0, Strings.Unit(meter, text.Value, precision));
        }
        double number = Values.Number(value) ?? throw meter.Wrong($"format: %{kind} wants a number, found {Values.Name(value)}");
        if (kind is 'd' or 'i' && precision < 0) return Text.Message(Values.Number(Values.Whole(value)
            ?? (Math.Abs(number) < 1L << 62 ? (long)number : throw meter.Wrong("format: a number goes past 64 bits"))));
        if (kind == 'f' && precision <= 60 && double.IsFinite(number))
            return Text.Message(number.ToString($"F{(precision < 0 ? 6 : precision)}", CultureInfo.InvariantCulture));
        if (kind == 'x' && precision < 0 && Values.Whole(value) is >= 0 and var whole) return Text.Message(whole.ToString("x", CultureInfo.InvariantCulture));
        throw meter.Wrong($"format: %{kind} of this value is not part of the template language that Tessera runs");
    }
}
