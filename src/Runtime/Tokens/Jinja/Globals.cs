using System.Globalization;

namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>The functions that every template finds.</summary>
static class Globals
{
    const int MaxRange = 100_000; // as Jinja's sandbox has it

    public static Dictionary<string, object?> All(Meter meter, TimeProvider clock)
    {
        var all = new Dictionary<string, object?>(StringComparer.Ordinal);
        void Add(string name, string parameters, Func<Call, object?> body)
        {
            var signature = new Signature(parameters);
            all[name] = new Function(name, arguments => body(signature.Bind(meter, name, null, arguments)));
        }
        Add("raise_exception", "message", call => throw new TesseraException($"chat template: {OneLine(Printing.Written(meter, call.At(0)).Value)}"));
        Add("namespace", "values? **", call => new Namespace(Mapping(call)));
        Add("dict", "values? **", Mapping);
        Add("range", "start stop? step?", Range);
        Add("strftime_now", "format", call => Now(meter, call.Required(0), clock));
        return all;
    }

    /// <summary>An error is one line, whatever a template puts into it.</summary>
    static string OneLine(string text) => string.Concat(text[..Math.Min(text.Length, 2000)].Select(c => char.IsControl(c) ? ' ' : c));

    static List<object?> Range(Call call)
    {
        long from = call.Has(1) ? Number(call, 0) : 0, to = Number(call, call.Has(1) ? 1 : 0), step = call.Has(2) ? Number(call, 2) : 1;
        if (step == 0) throw call.Meter.Wrong("range: a step of 0");
        long count = step > 0 ? (to > from ? (to - from - 1) / step + 1 : 0) : from > to ? (from - to - 1) / -step + 1 : 0;
        if (count > MaxRange) throw call.Meter.Wrong($"range: longer than {MaxRange}");
        call.Meter.List(count);
        call.Meter.Bytes(24 * count);
        var list = new List<object?>((int)count);
        for (long i = 0; i < count; i++) list.Add(from + i * step);
        return list;
    }

    static long Number(Call call, int i) => call.Whole(i, long.MaxValue) is > int.MinValue and < int.MaxValue and var n ? n
        : throw call.Meter.Wrong("range wants whole numbers of 32 bits");

    static Dict Mapping(Call call)
    {
        var dict = new Dict();
        if (call.At(0) is Dict other)
        {
            call.Meter.Entries(other.Count);
            foreach (var (key, value) in other) dict[key] = value;
        }
        else if (call.Has(0))
        {
            foreach (object? item in Values.Items(call.Meter, call.At(0)))
            {
                if (item is not List<object?> pair || pair is not [var key, var value]) throw call.Meter.Wrong($"{call.What} wants pairs of key and value");
                call.Meter.Entries(1);
                dict[Values.Key(call.Meter, key)] = value;
            }
        }
        call.Meter.Entries(call.Keywords.Count);
        foreach (var (name, value) in call.Keywords) dict[Text.Template(name)] = value;
        return dict;
    }

    static Text Now(Meter meter, Text format, TimeProvider clock)
    {
        meter.Characters(16L * format.Value.Length);
        meter.Bytes(32L * format.Value.Length);
        var text = new System.Text.StringBuilder();
        Write(meter, format.Value, clock.GetLocalNow(), text);
        meter.Text(text.Length);
        return format.Origin.Contains(Text.FromMessage) ? Text.Message(text.ToString()) : Text.Template(text.ToString());
    }

    /// <summary>strftime in the C locale; a letter it does not know is refused.</summary>
    static void Write(Meter meter, string format, DateTimeOffset now, System.Text.StringBuilder to)
    {
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                to.Append(format[i]);
                continue;
            }
            meter.Characters(100);
            meter.Bytes(160);
            bool bare = format[++i] == '-' && i + 1 < format.Length; // %-d: without zeros in front
            if (bare) i++;
            string field = Field(format[i], now) ?? throw meter.Wrong($"strftime_now: '%{format[i]}' is not part of the template language that Tessera runs");
            to.Append(bare && field.Length > 1 && char.IsAsciiDigit(field[0]) ? field.TrimStart('0') is { Length: > 0 } trimmed ? trimmed : "0" : field);
        }
    }

    static string? Field(char letter, DateTimeOffset now)
    {
        string Of(string format) => now.ToString(format, CultureInfo.InvariantCulture);
        int weekday = (int)now.DayOfWeek, twelve = now.Hour % 12 == 0 ? 12 : now.Hour % 12;
        string Two(int number) => number.ToString("00", CultureInfo.InvariantCulture);
        return letter switch
        {
            'Y' => Of("yyyy"),
            'y' => Of("yy"),
            'C' => Two(now.Year / 100),
            'm' => Of("MM"),
            'd' => Of("dd"),
            'e' => now.Day.ToString(CultureInfo.InvariantCulture).PadLeft(2),
            'H' => Of("HH"),
            'I' => Two(twelve),
            'M' => Of("mm"),
            'S' => Of("ss"),
            'f' => Of("ffffff"),
            'p' => now.Hour < 12 ? "AM" : "PM",
            'A' => Of("dddd"),
            'a' => Of("ddd"),
            'B' => Of("MMMM"),
            'b' or 'h' => Of("MMM"),
            'j' => now.DayOfYear.ToString("000", CultureInfo.InvariantCulture),
            'u' => (weekday == 0 ? 7 : weekday).ToString(CultureInfo.InvariantCulture),
            'w' => weekday.ToString(CultureInfo.InvariantCulture),
            'U' => Two((now.DayOfYear + 6 - weekday) / 7),
            'W' => Two((now.DayOfYear + 6 - (weekday + 6) % 7) / 7),
            'G' => ISOWeek.GetYear(now.DateTime).ToString(CultureInfo.InvariantCulture),
            'V' => Two(ISOWeek.GetWeekOfYear(now.DateTime)),
            'F' => Of("yyyy-MM-dd"),
            'T' or 'X' => Of("HH:mm:ss"),
            'R' => Of("HH:mm"),
            'D' or 'x' => Of("MM/dd/yy"),
            'c' => $"{Of("ddd MMM")} {now.Day,2} {Of("HH:mm:ss yyyy")}",
            's' => now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
            'z' or 'Z' => "", // Python's now() has no zone
            'n' => "\n",
            't' => "\t",
            '%' => "%",
            _ => null,
        };
    }
}
