namespace Tessera;

/// <summary>A mistake in what came from outside (file, argument, device, request), told in one line: what, expected, found, what to do.</summary>
public class TesseraException(string message, Exception? inner = null) : Exception(Line(message), inner)
{
    const int Begins = 500, Ends = 200;

    /// <summary>Messages quote what came from outside, which may be long, of several lines, or speak to the terminal.</summary>
    static string Line(string message)
    {
        if (message.Length > Begins + Ends) message = $"{message[..Begins]}…{message[^Ends..]}";
        bool plain = message.AsSpan().IndexOfAnyInRange('\0', '\x1f') < 0 && message.AsSpan().IndexOfAnyInRange('\x7f', '\x9f') < 0;
        return plain ? message : string.Concat(message.ReplaceLineEndings(" ").Select(c => char.IsControl(c) ? '\ufffd' : c));
    }
}

/// <summary>A device stopped to exist while it was used. What it held is gone; the process goes on.</summary>
public sealed class DeviceLostException(string message) : TesseraException(message);
