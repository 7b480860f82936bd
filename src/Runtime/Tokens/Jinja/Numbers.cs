using System.Globalization;
using System.Numerics;

namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Numbers read and written as Python does. Whole numbers have 64 bits; what goes past them is an error, never another number.</summary>
static class Numbers
{
    /// <summary>Digits of a base by its letter (b, o, d, x), no sign; null past 64 bits or where one is no digit.</summary>
    public static long? Whole(string digits, int letter) =>
        Whole(digits, letter switch { 'b' => 2, 'o' => 8, 'x' => 16, 'd' => 10, _ => 0 }, out long value) ? value : null;

    static bool Whole(ReadOnlySpan<char> digits, int radix, out long value)
    {
        value = 0;
        foreach (char c in digits)
        {
            int digit = char.IsAsciiDigit(c) ? c - '0' : char.IsAsciiLetter(c) ? (c | 0x20) - 'a' + 10 : 99;
            if (digit >= radix || value > (long.MaxValue - digit) / radix) return false;
            value = value * radix + digit;
        }
        return digits.Length > 0;
    }

    /// <summary>int(text, radix), null where Python raises.</summary>
    public static long? Parse(string text, long radix)
    {
        if (radix is < 0 or 1 or > 36) return null;
        var digits = text.AsSpan().Trim();
        bool negative = digits.StartsWith("-");
        if (negative || digits.StartsWith("+")) digits = digits[1..];
        if (digits.Length > 1 && digits[0] == '0')
        {
            int letter = digits[1] | 0x20;
            int prefixed = letter switch { 'b' => 2, 'o' => 8, 'x' => 16, _ => 0 };
            if (prefixed != 0 && (radix == 0 || radix == prefixed)) {
                radix = prefixed;
                digits = digits[2..];
            }
        }
        if (radix == 0) radix = 10;
        if (digits.StartsWith("_") || digits.EndsWith("_") || digits.IndexOf("__") >= 0) return null;
        if (digits.Contains('_')) digits = digits.ToString().Replace("_", "", StringComparison.Ordinal);
        return !Whole(digits, (int)radix, out long value) ? null : negative ? -value : value;
    }

    /// <summary>float(text), null where Python raises.</summary>
    public static double? Parse(string text)
    {
        var digits = text.AsSpan().Trim();
        if (digits.Length == 0 || digits.Length > 400) return null;
        var bare = digits[0] is '-' or '+' ? digits[1..] : digits;
        double sign = digits[0] == '-' ? -1 : 1;
        if (bare.Equals("inf", StringComparison.OrdinalIgnoreCase) || bare.Equals("infinity", StringComparison.OrdinalIgnoreCase))
            return sign * double.PositiveInfinity;
        if (bare.Equals("nan", StringComparison.OrdinalIgnoreCase)) return double.NaN;
        return bare.Length > 0 && bare[0] is '.' or >= '0' and <= '9'
            && double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? value : null;
    }

    /// <summary>A floating-point number as repr writes it: the shortest digits that come back, an exponent below -4 and from 16 on.</summary>
    public static string Written(double value)
    {
        if (double.IsNaN(value)) return "nan";
        if (double.IsInfinity(value)) return value > 0 ? "inf" : "-inf";
        if (value == 0) return double.IsNegative(value) ? "-0.0" : "0.0";
        string shortest = value.ToString("R", CultureInfo.InvariantCulture);
        // Digits and exponent out of .NET's form, which switches to exponents elsewhere.
        bool negative = shortest[0] == '-';
        if (negative) shortest = shortest[1..];
        int e = shortest.IndexOf('E'), exponent = e < 0 ? 0 : int.Parse(shortest.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        string mantissa = e < 0 ? shortest : shortest[..e];
        int point = mantissa.IndexOf('.');
        string digits = mantissa.Replace(".", "", StringComparison.Ordinal);
        int scale = (point < 0 ? mantissa.Length : point) + exponent; // value = 0.digits * 10^scale
        int leading = 0;
        while (digits[leading] == '0') leading++;
        digits = digits[leading..].TrimEnd('0');
        scale -= leading;
        string sign = negative ? "-" : "";
        int power = scale - 1;
        if (power is < -4 or >= 16)
        {
            string fraction = digits.Length > 1 ? "." + digits[1..] : "";
            return $"{sign}{digits[0]}{fraction}e{(power < 0 ? '-' : '+')}{Math.Abs(power).ToString("00", CultureInfo.InvariantCulture)}";
        }
        if (scale <= 0) return $"{sign}0.{new string('0', -scale)}{digits}";
        return digits.Length <= scale ? $"{sign}{digits}{new string('0', scale - digits.Length)}.0" : $"{sign}{digits[..scale]}.{digits[scale..]}";
    }

    /// <summary>round(value, precision): to the nearest, exact ties to even.</summary>
    public static double Round(double value, int precision)
    {
        if (!double.IsFinite(value) || Math.Abs(value) >= 1e22) return value;
        string exact = value.ToString("F1100", CultureInfo.InvariantCulture).TrimEnd('0'); // a double has at most 1074 decimals
        int point = exact.IndexOf('.');
        if (exact.Length - point - 1 <= precision) return value;
        var scaled = BigInteger.Parse(exact[..point] + exact.Substring(point + 1, precision), CultureInfo.InvariantCulture);
        string rest = exact[(point + 1 + precision)..];
        bool up = rest == "5" ? !scaled.IsEven : rest[0] >= '5';
        if (up) scaled += value < 0 ? -1 : 1;
        double rounded = double.Parse($"{scaled}E-{precision}", CultureInfo.InvariantCulture);
        return rounded == 0 && value < 0 ? -0.0 : rounded;
    }
}
