using System.Runtime.InteropServices;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Host;

/// <summary>Memory of the process, or a region of a mapped file that somebody else owns.</summary>
sealed unsafe class HostMemory : DeviceMemory
{
    const int Alignment = 4096;

    readonly Team team;                  // that computes with it
    void* owned;

    HostMemory(byte* at, long bytes, Team team) : base(bytes) => (Address, this.team) = ((ulong)at, team);

    public override ulong Address { get; }

    /// <summary>Zeroed and aligned to 4096 bytes; large regions become real memory page by page, as they are touched.</summary>
    public static HostMemory Allocate(long bytes, long free, Team team)
    {
        if (bytes > free) throw Lacking(bytes, free);
        void* at;
        try { at = NativeMemory.AllocZeroed((nuint)bytes + Alignment); }
        catch (OutOfMemoryException) { throw Lacking(bytes, free); }
        return new HostMemory((byte*)(((nuint)at + Alignment - 1) / Alignment * Alignment), bytes, team) { owned = at };
    }

    public static HostMemory Over(byte* at, long bytes, Team team) => new(at, bytes, team);

    /// <summary>Waits for what was submitted.</summary>
    public override void Dispose()
    {
        team.Drain();
        NativeMemory.Free(owned);
        owned = null;
    }

    static TesseraException Lacking(long bytes, long free) =>
        new($"host: {bytes / 1048576.0:F0} MiB were asked for, {free / 1048576.0:F0} MiB are free; use a shorter context or a smaller weight type");
}
