namespace Tessera.Shaders;

/// <summary>A mistake in what came from outside (file, argument, device, request), told in one line: what, expected, found, what to do.</summary>
public class TesseraException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>A device stopped to exist while it was used. What it held is gone; the process goes on.</summary>
public sealed class DeviceLostException(string message) : TesseraException(message);
