using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Host;

/// <summary>The CPU: computes straight out of the mapped file, with SIMD bodies shared among the threads of a <see cref="Team"/>.</summary>
public sealed class HostDevice : InPlaceDevice
{
    const int MaxThreads = 1024;

    /// <param name="threads">Threads that compute, the caller's included while it waits; 0: one per logical processor.</param>
    public HostDevice(int threads = 0) : base(Count(threads), kernel => kernel.Host) => Description = Describe(threads);

    static int Count(int threads) => threads switch
    {
        0 => Environment.ProcessorCount,
        < 0 or > MaxThreads =>
            throw new TesseraException($"host: expected 1 to {MaxThreads} threads, or 0 for one on each processor, found {threads}"),
        _ => threads,
    };

    /// <summary>What the processor is called, with the threads that would be used (0: all).</summary>
    public static string Describe(int threads)
    {
        int used = threads > 0 ? threads : Environment.ProcessorCount;
        return $"{HostProcessor.Name}, {used} thread{(used == 1 ? "" : "s")}, {HostProcessor.Instructions}";
    }

    public override string Name => "host";

    private protected override void Check(Call call)
    {
        if (call.IsA16) throw new TesseraException($"[{call.Kernel.Name}] has no host body for activations in f16 yet; use f32, or --device reference");
    }

    public override string Description { get; }
}
