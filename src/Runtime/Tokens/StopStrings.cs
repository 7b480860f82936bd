using System.Text;

namespace Tessera.Runtime.Tokens;

/// <summary>
/// Ends a text at the first of several strings, over bytes as they come: nothing of a string that ends it is given out, and nothing is kept back that cannot
/// become one any more. Time grows with the bytes times the strings.
/// </summary>
public sealed class StopStrings
{
    public const int MaxCount = 64, MaxBytes = 4096;

    readonly byte[][] strings;
    readonly int[][] borders;                            // of each string: the longest proper prefix of its first n bytes that ends them, by n − 1
    readonly int[] matched;                              // bytes of each string that the text so far ends with
    byte[] buffer = new byte[256], shown = new byte[256];
    int kept;                                            // bytes at the buffer's start that may become a string

    /// <exception cref="TesseraException">Too many or too long strings, or an empty one.</exception>
    public StopStrings(IReadOnlyList<string> strings)
    {
        if (strings is null || strings.Contains(null!)) throw new TesseraException("stop strings: expected strings, found null");
        if (strings.Count > MaxCount) throw new TesseraException($"stop strings: expected at most {MaxCount}, found {strings.Count}");
        this.strings = [.. strings.Select(Encoding.UTF8.GetBytes)];
        foreach (byte[] one in this.strings)
            if (one.Length is 0 or > MaxBytes) throw new TesseraException($"stop string: expected 1 to {MaxBytes} bytes, found {one.Length}");
        borders = [.. this.strings.Select(Borders)];
        matched = new int[this.strings.Length];
    }

    /// <summary>The string that ended the text, by its place in the list; −1 until then.</summary>
    public int Found { get; private set; } = -1;

    /// <summary>Takes more of the text, and gives what of all taken so far can be shown; valid until the next call. Nothing once the text has ended.</summary>
    public ReadOnlySpan<byte> Append(ReadOnlySpan<byte> bytes)
    {
        if (Found >= 0) return [];
        if (strings.Length == 0) return bytes;
        int count = kept + bytes.Length, longest = kept;
        if (buffer.Length < count) Array.Resize(ref buffer, 2 * count);
        if (shown.Length < count) shown = new byte[2 * count];
        bytes.CopyTo(buffer.AsSpan(kept));
        for (int i = kept; i < count && Found < 0; i++)
        {
            longest = 0;
            for (int s = 0; s < strings.Length; s++)
            {
                int length = Next(s, buffer[i]);
                if (length == strings[s].Length && (Found < 0 || length > strings[Found].Length)) Found = s; // of those that end here the longest
                longest = Math.Max(longest, length);
            }
            if (Found >= 0) (count, longest) = (i + 1, strings[Found].Length);
        }
        buffer.AsSpan(0, count - longest).CopyTo(shown);
        buffer.AsSpan(count - longest, longest).CopyTo(buffer);
        kept = Found < 0 ? longest : 0;
        return shown.AsSpan(0, count - longest);
    }

    /// <summary>The end of the text: what was kept back.</summary>
    public ReadOnlySpan<byte> Flush()
    {
        var rest = buffer.AsSpan(0, kept);
        kept = 0;
        Array.Clear(matched);
        return rest;
    }

    int Next(int s, byte value)
    {
        byte[] one = strings[s];
        int length = matched[s];
        while (length > 0 && (length == one.Length || one[length] != value)) length = borders[s][length - 1];
        if (one[length] == value) length++;
        return matched[s] = length;
    }

    static int[] Borders(byte[] one)
    {
        var borders = new int[one.Length];
        for (int i = 1, length = 0; i < one.Length; i++)
        {
            while (length > 0 && one[length] != one[i]) length = borders[length - 1];
            if (one[length] == one[i]) length++;
            borders[i] = length;
        }
        return borders;
    }
}
