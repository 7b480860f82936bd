using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Host;

/// <summary>
/// Threads that replay a list of calls together: they share the units of a call through a cursor and meet at its end.
/// Between calls they spin, since a decode step has hundreds of calls of a few microseconds; between recordings they sleep after a while.
/// </summary>
sealed class Team : IDisposable
{
    const int SpinsBeforeSleep = 20_000, SpinsBeforeYield = 5_000;

    readonly Thread[] workers;
    readonly SemaphoreSlim wake = new(0);
    Call[] calls = [];
    Exception? failure;
    Shared shared;
    volatile bool ended;

    public Team(int threads)
    {
        Threads = threads;
        workers = new Thread[threads - 1];
        for (int i = 0; i < workers.Length; i++)
        {
            workers[i] = new Thread(Work, 1 << 20) { IsBackground = true, Name = $"tessera host {i + 1}" };
            workers[i].Start();
        }
    }

    public int Threads { get; }

    /// <summary>Runs the calls in order; returns when all units of all calls are done.</summary>
    public void Run(Call[] list)
    {
        if (workers.Length == 0)
        {
            foreach (var call in list) call.Kernel.Host(call, 0, call.Units);
            return;
        }
        calls = list;
        Interlocked.Increment(ref shared.Epoch);
        int sleepers = Volatile.Read(ref shared.Sleepers);
        if (sleepers > 0) wake.Release(sleepers);
        Share(list);
        if (failure is { } e)
        {
            failure = null;
            throw new InvalidOperationException("a host body failed", e);
        }
    }

    void Work()
    {
        for (int epoch = 0; ;)
        {
            for (int spins = 0; Volatile.Read(ref shared.Epoch) == epoch; spins++)
            {
                if (ended) return;
                if (spins < SpinsBeforeSleep) Thread.SpinWait(4);
                else Sleep(epoch);
            }
            epoch = Volatile.Read(ref shared.Epoch);
            Share(calls);
        }
    }

    void Sleep(int epoch)
    {
        Interlocked.Increment(ref shared.Sleepers);
        // Looked at again after saying so: otherwise a wake could be missed. A wake too many only spins once more.
        if (Volatile.Read(ref shared.Epoch) == epoch && !ended) wake.Wait(TimeSpan.FromMilliseconds(100));
        Interlocked.Decrement(ref shared.Sleepers);
    }

    void Share(Call[] list)
    {
        foreach (var call in list)
        {
            int units = call.Units, chunk = Math.Max(1, units / (Threads * 8));
            int phase = Volatile.Read(ref shared.Phase);
            for (int begin; (begin = Interlocked.Add(ref shared.Cursor, chunk) - chunk) < units;)
            {
                try { call.Kernel.Host(call, begin, Math.Min(begin + chunk, units)); }
                catch (Exception e) { failure = e; }
            }
            if (Interlocked.Increment(ref shared.Arrived) == Threads)
            {
                shared.Arrived = 0;
                shared.Cursor = 0;
                Volatile.Write(ref shared.Phase, phase + 1);
                continue;
            }
            for (int spins = 0; Volatile.Read(ref shared.Phase) == phase; spins++)
                if (spins > SpinsBeforeYield) Thread.Yield();
                else Thread.SpinWait(1);
        }
    }

    public void Dispose()
    {
        ended = true;
        if (workers.Length > 0) wake.Release(workers.Length);
        foreach (var worker in workers) worker.Join();
        wake.Dispose();
    }

    /// <summary>Each on its own cache line.</summary>
    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Explicit, Size = 6 * 128)]
    struct Shared
    {
        [System.Runtime.InteropServices.FieldOffset(128)] public int Epoch;
        [System.Runtime.InteropServices.FieldOffset(256)] public int Cursor;
        [System.Runtime.InteropServices.FieldOffset(384)] public int Arrived;
        [System.Runtime.InteropServices.FieldOffset(512)] public int Phase;
        [System.Runtime.InteropServices.FieldOffset(640)] public int Sleepers;
    }
}
