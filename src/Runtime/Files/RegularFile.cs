using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Tessera.Runtime.Files;

/// <summary>
/// Regular files, told from folders, devices, pipes and sockets without opening them: opening a pipe waits for its other end, opening a device may do
/// anything.
/// </summary>
public static unsafe class RegularFile
{
    /// <summary>Opens a regular file, or one that a link leads to, for reading.</summary>
    /// <exception cref="TesseraException">There is none, it is of another kind, or it cannot be read.</exception>
    public static SafeFileHandle Open(string path, FileShare share = FileShare.Read, FileOptions options = FileOptions.None)
    {
        try
        {
            if (Directory.Exists(path)) throw new TesseraException($"{path}: expected a file, found a folder");
            if (!File.Exists(path)) throw new TesseraException($"{path}: there is no such file");
            if (!Is(path)) throw new TesseraException($"{path}: expected a file, found a device, a pipe or a socket");
            return File.OpenHandle(path, FileMode.Open, FileAccess.Read, share, options);
        }
        catch (FileNotFoundException e) { throw new TesseraException($"{path}: there is no such file", e); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            throw new TesseraException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Whether what a path leads to, through links, is a regular file.</summary>
    public static bool Is(string path) => Status(path) is { } status ? (status.Mode & 0xf000) == 0x8000 : File.Exists(path) && Length(path) > 0;

    /// <summary>Whether two paths lead to one and the same file.</summary>
    public static bool Same(string a, string b) =>
        File.Exists(a) && File.Exists(b) && (Status(a) is { } x && Status(b) is { } y ? (x.Device, x.Inode) == (y.Device, y.Inode)
        : string.Equals(Path.GetFullPath(a), Path.GetFullPath(b), StringComparison.OrdinalIgnoreCase));

    // Devices and pipes have no length, where the system gives no more than that.
    static long Length(string path) => ((FileInfo?)File.ResolveLinkTarget(path, returnFinalTarget: true) ?? new FileInfo(path)).Length;

    /// <summary>The kernel's answer, whose form is the same on all processors; null where there is none.</summary>
    static (int Mode, ulong Device, ulong Inode)? Status(string path)
    {
        const int FromWorkingFolder = -100;
        const uint TypeAndInode = 0x101;
        if (!OperatingSystem.IsLinux()) return null;
        byte* name = (byte*)Marshal.StringToCoTaskMemUTF8(path), status = stackalloc byte[256];
        try
        {
            return Statx(FromWorkingFolder, name, 0, TypeAndInode, status) == 0 ? (*(ushort*)(status + 28), *(ulong*)(status + 136), *(ulong*)(status + 32))
                : null;
        }
        catch (EntryPointNotFoundException) { return null; } // a C library from before 2018
        finally { Marshal.FreeCoTaskMem((nint)name); }
    }

    [DllImport("libc", EntryPoint = "statx")]
    static extern int Statx(int folder, byte* path, int flags, uint mask, byte* status);
}
