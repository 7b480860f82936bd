using System.Runtime.InteropServices;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Host;

/// <summary>Memory of the process, or a region of a mapped file that somebody else owns.</summary>
sealed unsafe class HostMemory : DeviceMemory
{
    void* owned;

    HostMemory(byte* at, long bytes) : base(bytes) => Address = (ulong)at;

    public override ulong Address { get; }

    /// <summary>Zeroed and aligned to 4096 bytes.</summary>
    public static HostMemory Allocate(long bytes, long free)
    {
        if (bytes > free) throw Lacking(bytes, free);
        void* at;
        try { at = NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 1), 4096); }
        catch (OutOfMemoryException) { throw Lacking(bytes, free); }
        NativeMemory.Clear(at, (nuint)bytes);
        return new HostMemory((byte*)at, bytes) { owned = at };
    }

    public static HostMemory Over(byte* at, long bytes) => new(at, bytes);

    public override void Dispose()
    {
        NativeMemory.AlignedFree(owned);
        owned = null;
    }

    static TesseraException Lacking(long bytes, long free) =>
        new($"host: {bytes / 1048576.0:F0} MiB were asked for, {free / 1048576.0:F0} MiB are free; use a shorter context or a smaller weight type");
}
