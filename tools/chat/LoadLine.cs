using System.Diagnostics;

namespace Tessera.Chat;

/// <summary>How far the copy of the weights to a device is, on one line of a terminal with rate and time left; nothing in a pipe.</summary>
sealed class LoadLine : IDisposable
{
    const int FirstMilliseconds = 500, Milliseconds = 100;   // a short copy shows nothing

    readonly bool terminal = !Console.IsErrorRedirected;
    readonly Stopwatch since = Stopwatch.StartNew();
    long shown;
    int width;

    public void Show(long copied, long total)
    {
        long now = since.ElapsedMilliseconds;
        if (!terminal || now < FirstMilliseconds || now - shown < Milliseconds) return;
        shown = now;
        Write(Text(copied, total, since.Elapsed.TotalSeconds));
    }

    public static string Text(long copied, long total, double seconds)
    {
        double rate = copied / seconds;
        return $"loading: {100 * copied / Math.Max(total, 1)} % · {rate / 1e9:F2} GB/s · {Math.Max(total - copied, 0) / Math.Max(rate, 1):F0} s left";
    }

    void Write(string text)
    {
        Console.Error.Write($"\r{text.PadRight(width)}");
        width = text.Length;
    }

    /// <summary>Takes the line away.</summary>
    public void Dispose()
    {
        if (width > 0) Console.Error.Write($"\r{new string(' ', width)}\r");
    }
}
