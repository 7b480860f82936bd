using Tessera.Runtime.Files;

namespace Tessera.Bench;

/// <summary>Files of text that are named on the command line.</summary>
static class TextFile
{
    const int MaxBytes = 64 << 20;

    /// <exception cref="TesseraException">It is no file, cannot be read, or is too large.</exception>
    public static string Read(string path)
    {
        using var handle = RegularFile.Open(path);
        try
        {
            if (RandomAccess.GetLength(handle) > MaxBytes) throw new TesseraException($"{path}: expected a text of at most {MaxBytes >> 20} MiB");
            using var reader = new StreamReader(new FileStream(handle, FileAccess.Read));
            return reader.ReadToEnd();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new TesseraException($"{path}: cannot be read: {e.Message}", e); }
    }
}
