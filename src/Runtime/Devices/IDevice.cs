using Tessera.Shaders;

namespace Tessera.Runtime.Devices;

/// <summary>
/// Where kernels run. One caller at a time. <see cref="Submit"/> never waits; reads, writes and <see cref="Wait"/> wait for what was submitted before, and
/// there what went wrong is thrown, once.
/// </summary>
public interface IDevice : IDisposable
{
    /// <summary>The name people type: host, vulkan:0, opencl:0, reference.</summary>
    string Name { get; }

    /// <summary>What the device calls itself, for the closing line of every run.</summary>
    string Description { get; }

    /// <summary>Bytes that can still be allocated.</summary>
    long FreeBytes { get; }

    /// <summary>Bytes that one allocation can have at most; <see cref="long.MaxValue"/> where only memory limits it.</summary>
    long MaxAllocationBytes { get; }

    /// <summary>
    /// Takes zeroed memory, aligned to 256 bytes. <paramref name="shared"/>: small memory that both sides reach without a copy, for what goes in and comes out
    /// of every step.
    /// </summary>
    /// <exception cref="TesseraException">There is not enough, or not in one piece: says what was asked, and what is free or the limit.</exception>
    DeviceMemory Allocate(long bytes, bool shared = false);

    /// <summary>Makes bytes of a mapped file readable by kernels: in place on the host, uploaded elsewhere. The caller keeps the mapping alive.</summary>
    /// <param name="copied">Is given the bytes of each part that was copied; what it throws ends the copy, and nothing stays on the device.</param>
    unsafe DeviceMemory Load(byte* bytes, long count, Action<long>? copied = null);

    /// <summary>Copies into a tensor, behind the recordings submitted so far; may wait for them.</summary>
    void Write(in Tensor to, ReadOnlySpan<byte> bytes);

    /// <summary>Waits for what was submitted and copies out of a tensor.</summary>
    void Read(in Tensor from, Span<byte> bytes);

    /// <summary>Records what <paramref name="page"/> launches, once, to be submitted many times.</summary>
    Recording Record(Action<IRecorder> page);

    /// <summary>Queues a recording behind those submitted before, and returns at once. It may be queued again before it is done.</summary>
    Completion Submit(Recording recording);

    /// <summary>Waits for all that was submitted.</summary>
    void Wait();

    /// <summary>Runs a recording once and returns the seconds that each of its calls took.</summary>
    double[] Profile(Recording recording);

    /// <summary>
    /// Replays a recording once and returns the seconds it took by the device's own clock where it has one: without its submission, with the barriers between
    /// its calls.
    /// </summary>
    double Time(Recording recording);

    /// <summary>
    /// Bytes that no cache holds, if they are read again only when all of them were: at least four times the last cache, as far as the device tells it.
    /// </summary>
    long UncachedBytes { get; }

    /// <summary>
    /// Bytes per second that kernels can read at most, measured once, in less than a second: the roofline of decoding. 0 where there is too little memory to
    /// tell.
    /// </summary>
    double MeasureBandwidth();
}

/// <summary>A recorded list of calls, in the form that its device replays.</summary>
public abstract class Recording(Call[] calls) : IDisposable
{
    /// <summary>The calls, in order.</summary>
    public Call[] Calls { get; } = calls;

    public virtual void Dispose() { }
}

/// <summary>Collects the calls of a page.</summary>
public sealed class CallList : IRecorder
{
    readonly List<Call> calls = [];

    public Call[] Calls => [.. calls];

    public void Launch<TArgs>(Kernel kernel, in TArgs args, params ReadOnlySpan<Tensor> tensors) where TArgs : unmanaged =>
        calls.Add(new Call(kernel, System.Runtime.InteropServices.MemoryMarshal.AsBytes(new ReadOnlySpan<TArgs>(in args)), tensors));
}
