namespace Tessera.Runtime.Devices.Host;

/// <summary>The CPU: computes straight out of the mapped file, with SIMD bodies shared among the threads of a <see cref="Team"/>.</summary>
public sealed class HostDevice : InPlaceDevice
{
    const int MaxThreads = 1024;

    readonly Team team;

    /// <param name="threads">Threads that compute, the caller's included; 0: one per logical processor.</param>
    public HostDevice(int threads = 0)
    {
        if (threads is < 0 or > MaxThreads)
            throw new TesseraException($"host: expected 1 to {MaxThreads} threads, or 0 for one on each processor, found {threads}");
        team = new Team(threads > 0 ? threads : Environment.ProcessorCount);
        Description = Describe(team.Threads);
    }

    /// <summary>What the processor is called, with the threads that would be used (0: all).</summary>
    public static string Describe(int threads)
    {
        int used = threads > 0 ? threads : Environment.ProcessorCount;
        return $"{HostProcessor.Name}, {used} thread{(used == 1 ? "" : "s")}, {HostProcessor.Instructions}";
    }

    public override string Name => "host";

    public override string Description { get; }

    public override void Submit(Recording recording) => team.Run(recording.Calls);

    public override void Dispose() => team.Dispose();
}
