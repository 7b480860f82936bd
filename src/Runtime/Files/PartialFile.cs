using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace Tessera.Runtime.Files;

/// <summary>
/// A file that is being written: it lies beside its final name under a temporary one, locked, and takes the final name when it is whole and on disk.
/// The lock ends with the process, however that ends: what a killed one left behind is removed by the next that writes the same name.
/// </summary>
sealed class PartialFile : IDisposable
{
    const string Extension = ".partial";
    const int Digits = 8;

    readonly string path, temporary;
    bool whole;

    /// <exception cref="TesseraException">The path names no file that may be written or replaced.</exception>
    public PartialFile(string path)
    {
        this.path = Target(path);
        try
        {
            RemoveAbandoned();
            (temporary, Handle) = Create();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new TesseraException($"{path}: cannot be written: {e.Message}", e); }
    }

    public SafeFileHandle Handle { get; }

    /// <summary>Forces all to disk and gives the file its name; a file of that name is replaced, and whoever has it open keeps the old one.</summary>
    public void Finish()
    {
        RandomAccess.FlushToDisk(Handle);
        File.Move(temporary, path, overwrite: true); // still locked: nobody takes it for abandoned
        whole = true;
    }

    public void Dispose()
    {
        try
        {
            if (!whole) File.Delete(temporary);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
        Handle.Dispose();
    }

    /// <summary>The full path, where it names a regular file or nothing yet, in a folder that exists.</summary>
    static string Target(string path)
    {
        if (string.IsNullOrWhiteSpace(path) || path.Contains('\0'))
            throw new TesseraException($"expected the name of a file to write, found '{path.Replace("\0", "\\0")}'");
        if (Directory.Exists(path) || Path.EndsInDirectorySeparator(path)) throw new TesseraException($"{path}: is a folder; name a file in it");
        if (new FileInfo(path).LinkTarget is { } target) throw new TesseraException($"{path}: is a link to {target}; name the file itself");
        if (File.Exists(path) && !RegularFile.Is(path)) throw new TesseraException($"{path}: is a device, a pipe or a socket; name a file");
        string full = Path.GetFullPath(path);
        return Directory.Exists(Path.GetDirectoryName(full)) ? full : throw new TesseraException($"{path}: there is no folder {Path.GetDirectoryName(full)}");
    }

    (string, SafeFileHandle) Create()
    {
        for (int attempt = 0; ; attempt++)
        {
            string name = $"{path}.{Random.Shared.NextInt64(1L << 32).ToString($"x{Digits}", CultureInfo.InvariantCulture)}{Extension}";
            try
            {
                // Sharing for deletion is a shared lock on Unix, and on Windows what allows the file to be renamed while it is open.
                var handle = File.OpenHandle(name, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete);
                if (File.Exists(name)) return (name, handle);
                handle.Dispose(); // another run took it for abandoned before it was locked
            }
            catch (IOException) when (attempt < 9 && Directory.Exists(Path.GetDirectoryName(path))) { }
        }
    }

    void RemoveAbandoned()
    {
        var exclusive = OperatingSystem.IsWindows() ? FileShare.Delete : FileShare.None;
        string begin = Path.GetFileName(path) + ".";
        foreach (string other in Directory.EnumerateFiles(Path.GetDirectoryName(path)!))
        {
            var name = Path.GetFileName(other.AsSpan());
            if (name.Length != begin.Length + Digits + Extension.Length || !name.StartsWith(begin, StringComparison.Ordinal)
                || !name.EndsWith(Extension, StringComparison.Ordinal)
                || name.Slice(begin.Length, Digits).ContainsAnyExcept("0123456789abcdef") || new FileInfo(other).LinkTarget is not null
                || !RegularFile.Is(other)) continue;
            try
            {
                using (File.OpenHandle(other, FileMode.Open, FileAccess.ReadWrite, exclusive)) File.Delete(other);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { } // another run writes it
        }
    }
}
