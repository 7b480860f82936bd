using System.Text;
using Tessera.Runtime.Tokens;
using Xunit;

namespace Tessera.Runtime.Tests.Tokens;

/// <summary>Stop strings end a text wherever tokens begin and end; nothing of them is shown, and nothing else is kept back.</summary>
public class StopStringsTests
{
    /// <summary>What is shown by and by of pieces, and behind the last.</summary>
    static (List<string> Shown, string Kept, int Found) Run(string[] stops, params string[] pieces)
    {
        var matcher = new StopStrings(stops);
        List<string> shown = [.. pieces.Select(piece => Encoding.UTF8.GetString(matcher.Append(Encoding.UTF8.GetBytes(piece))))];
        return (shown, Encoding.UTF8.GetString(matcher.Flush()), matcher.Found);
    }

    [Fact]
    public void Text_is_shown_as_soon_as_it_can_be()
    {
        var (shown, rest, found) = Run(["STOP"], "a", "S", "T", "O", "x", "ST");
        Assert.Equal(["a", "", "", "", "STOx", ""], shown);
        Assert.Equal(("ST", -1), (rest, found));
        (shown, rest, found) = Run(["STOP"], "aST", "OPb", "c");
        Assert.Equal(["a", "", ""], shown);
        Assert.Equal(("", 0), (rest, found));
        // What cannot become the string any more is let go, the rest of it that still can is not.
        (shown, rest, found) = Run(["aab"], "aaa", "a", "b");
        Assert.Equal(["a", "a", ""], shown);
        Assert.Equal(0, found);
        (shown, _, found) = Run([], "any", "thing");
        Assert.Equal(["any", "thing"], shown);
        Assert.Equal(-1, found);
        // Of those that end at one place the longest; a character's bytes may come apart.
        (shown, _, found) = Run(["c", "abc", "bc"], "xabcd");
        Assert.Equal(("x", 1), (shown.Single(), found));
        var bytes = new StopStrings(["é"]);
        Assert.Equal("a", Encoding.UTF8.GetString(bytes.Append([(byte)'a', 0xc3])));
        Assert.Equal(0, bytes.Append([0xa9, (byte)'b']).Length);
        Assert.Equal(0, bytes.Found);
    }

    [Fact]
    public void However_a_text_is_cut_it_ends_where_its_first_stop_string_ends()
    {
        var random = new Random(3);
        int ended = 0;
        for (int round = 0; round < 4000; round++)
        {
            string Letters(int most) => new([.. Enumerable.Range(0, random.Next(1, most + 1)).Select(_ => "abé"[random.Next(3)])]);
            string[] stops = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => Letters(5))];
            byte[] text = Encoding.UTF8.GetBytes(Letters(40));
            var ends = stops.Select(Encoding.UTF8.GetBytes).Select(s => (Start: text.AsSpan().IndexOf(s), s.Length)).Where(s => s.Start >= 0)
                .OrderBy(s => s.Start + s.Length).ThenBy(s => s.Start).ToList();
            byte[] expected = ends.Count > 0 ? text[..ends[0].Start] : text;
            ended += ends.Count > 0 ? 1 : 0;

            var matcher = new StopStrings(stops);
            var shown = new List<byte>();
            for (int at = 0; at < text.Length;)
            {
                int count = random.Next(0, Math.Min(6, text.Length - at) + 1);
                shown.AddRange(matcher.Append(text.AsSpan(at, count)));
                at += count;
                if (matcher.Found >= 0) break;
                // All is shown but the longest end that a stop string begins with.
                int kept = stops.Max(stop => Enumerable.Range(0, Encoding.UTF8.GetByteCount(stop)).Where(n => n <= at
                    && text.AsSpan(at - n, n).SequenceEqual(Encoding.UTF8.GetBytes(stop).AsSpan(0, n))).Max());
                Assert.Equal(at - kept, shown.Count);
            }
            if (matcher.Found < 0) shown.AddRange(matcher.Flush());
            Assert.Equal(expected, shown);
            Assert.Equal(ends.Count > 0, matcher.Found >= 0);
            Assert.Equal(0, ends.Count > 0 ? matcher.Append("more"u8).Length + matcher.Flush().Length : 0);
        }
        Assert.InRange(ended, 1000, 3900);
    }

    [Fact]
    public void Following_a_text_allocates_nothing_and_stays_linear()
    {
        var matcher = new StopStrings([new string('a', 4000) + "b", "ab" + new string('c', 500)]);
        byte[] piece = Encoding.UTF8.GetBytes(new string('a', 16));
        for (int i = 0; i < 300; i++) matcher.Append(piece);
        long before = GC.GetAllocatedBytesForCurrentThread();
        int shown = 0;
        for (int i = 0; i < 20_000; i++) shown += matcher.Append(piece).Length;
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(20_000 * 16, shown);
    }

    [Fact]
    public void What_is_no_stop_string_is_refused()
    {
        foreach (string[]? wrong in new string[]?[] { null, [""], ["a", null!], [new string('x', StopStrings.MaxBytes + 1)],
            [.. Enumerable.Repeat("a", StopStrings.MaxCount + 1)] })
            Assert.DoesNotContain('\n', Assert.Throws<TesseraException>(() => new StopStrings(wrong!)).Message);
    }
}
