using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Host;

/// <summary>
/// Threads that work off submitted lists of calls, one call after the other: whoever takes part takes units of the call at hand, and whoever finishes its
/// last unit puts up the next. So threads may come and go at any time, and one that waits takes part: with two threads one belongs to the team and the
/// other is the one that waits. While nobody waits the caller is thought to work, and its processor is left to it.
/// Between calls they spin, since a decode step has hundreds of calls of a few microseconds; between recordings they sleep after a while.
/// </summary>
sealed class Team : Timeline, IDisposable
{
    const int SpinsBeforeSleep = 20_000, SpinsBeforeYield = 5_000;

    readonly Func<Kernel, Body> body;
    readonly Thread[] workers;
    readonly SemaphoreSlim wake = new(0);
    readonly ConcurrentQueue<Call[]> queue = new();          // recordings behind the one that runs
    Call[] calls = [];                                       // of the one that runs; these two belong to whoever puts up the next call
    int next;
    long submitted, done, failed;                            // numbers of recordings
    Failure? failure;
    Shared shared;
    volatile bool ended;

    /// <param name="threads">Threads that compute while somebody waits, the waiting one included.</param>
    /// <param name="body">The body of a kernel that they run.</param>
    public Team(int threads, Func<Kernel, Body> body)
    {
        (Threads, this.body) = (threads, body);
        shared.Chunk = 1;
        workers = new Thread[Math.Max(1, threads - 1)];      // one alone takes turns with the one that waits
        for (int i = 0; i < workers.Length; i++)
        {
            workers[i] = new Thread(Work, 1 << 20) { IsBackground = true, Name = $"tessera host {i + 1}" };
            workers[i].Start();
        }
    }

    public int Threads { get; }

    /// <summary>Queues the calls behind what was submitted before.</summary>
    public Completion Submit(Call[] list)
    {
        long number = ++submitted;
        queue.Enqueue(list);
        if (Interlocked.Increment(ref shared.Pending) == 1)
        {
            Begin();
            Advance();
        }
        Wake();
        return new Completion(this, number);
    }

    public override bool IsDone(long number) => Volatile.Read(ref done) >= number;

    /// <exception cref="InvalidOperationException">A body failed.</exception>
    public override void Wait(long number)
    {
        Finish(number);
        if (Volatile.Read(ref failure) is { } f && f.Number <= number && Interlocked.CompareExchange(ref failure, null, f) == f)
            throw new InvalidOperationException("a host body failed", f.Exception);
    }

    /// <summary>Waits for all that was submitted.</summary>
    public void Wait() => Wait(submitted);

    /// <summary>The same, and leaves a failure to the one that waits for it: before memory goes.</summary>
    public void Drain() => Finish(submitted);

    /// <summary>Takes part until a recording is done.</summary>
    void Finish(long number)
    {
        if (IsDone(number)) return;
        Interlocked.Increment(ref shared.Waiting);
        bool seated = false;                                 // one of all that wait takes part
        var pause = new SpinWait();
        for (int spins = 0; !IsDone(number);)
            if (!seated && !(seated = TakeSeat())) pause.SpinOnce();
            else if (Take()) spins = 0;
            else Pause(ref spins);
        if (seated) LeaveSeat();
        Interlocked.Decrement(ref shared.Waiting);
        if (Threads == 1 && Volatile.Read(ref shared.Pending) > 0) Wake();
    }

    void Work()
    {
        for (int spins = 0; !ended;)
            if (Threads == 1)
            {
                if (Volatile.Read(ref shared.Waiting) == 0 && TakeSeat())
                {
                    while (Volatile.Read(ref shared.Waiting) == 0 && Take()) { }
                    LeaveSeat();
                }
                Sleep();
            }
            else if (Take()) spins = 0;
            else if (Volatile.Read(ref shared.Pending) > 0) Pause(ref spins);
            else if (spins++ < SpinsBeforeSleep) Thread.SpinWait(4);
            else Sleep();
    }

    bool TakeSeat() => Interlocked.CompareExchange(ref shared.Seat, 1, 0) == 0;

    void LeaveSeat() => Volatile.Write(ref shared.Seat, 0);

    void Wake()
    {
        int sleepers = Volatile.Read(ref shared.Sleepers);
        if (sleepers > 0) wake.Release(sleepers);
    }

    void Sleep()
    {
        Interlocked.Increment(ref shared.Sleepers);
        // Looked at again after saying so: otherwise a wake could be missed. A wake too many only spins once more.
        bool idle = Volatile.Read(ref shared.Pending) == 0 || Threads == 1 && Volatile.Read(ref shared.Waiting) > 0;
        if (idle && !ended) wake.Wait(TimeSpan.FromMilliseconds(100));
        Interlocked.Decrement(ref shared.Sleepers);
    }

    static void Pause(ref int spins)
    {
        if (spins++ > SpinsBeforeYield) Thread.Yield();
        else Thread.SpinWait(1);
    }

    /// <summary>Runs some units of the call at hand; false where none are left.</summary>
    bool Take()
    {
        if (Volatile.Read(ref shared.Left) <= 0) return false;
        int chunk = Volatile.Read(ref shared.Chunk);         // maybe of another call by now: any number will do
        int left = Interlocked.Add(ref shared.Left, -chunk) + chunk;
        if (left <= 0) return false;
        // Of whichever call they are: it stays until they are finished.
        var call = shared.Call!;
        int units = shared.Units, begin = units - left, end = Math.Min(begin + chunk, units);
        if (Volatile.Read(ref failed) <= done)               // else the rest of this recording is passed over
            try { body(call.Kernel)(call, begin, end); }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref failure, new Failure(done + 1, e), null);
                Volatile.Write(ref failed, done + 1);
            }
        if (Interlocked.Add(ref shared.Finished, end - begin) == units) Advance();
        return true;
    }

    /// <summary>Puts up the next call, of this recording or of the next.</summary>
    void Advance()
    {
        while (true)
        {
            while (next < calls.Length)
            {
                var call = calls[next++];
                if (call.Units == 0) continue;
                (shared.Call, shared.Units, shared.Finished) = (call, call.Units, 0);
                shared.Chunk = Threads == 1 ? call.Units : Math.Max(1, call.Units / (Threads * 8));
                Interlocked.Exchange(ref shared.Left, call.Units);
                return;
            }
            Volatile.Write(ref done, done + 1);
            if (Interlocked.Decrement(ref shared.Pending) == 0) return;
            Begin();
        }
    }

    void Begin()
    {
        queue.TryDequeue(out calls!);                        // it was put there before it was counted
        next = 0;
    }

    /// <summary>Waits for what was submitted.</summary>
    public void Dispose()
    {
        Drain();
        ended = true;
        wake.Release(workers.Length);
        foreach (var worker in workers) worker.Join();
        wake.Dispose();
    }

    sealed record Failure(long Number, Exception Exception);

    /// <summary>On cache lines of their own: the call at hand, what is finished of it, and who is there.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 6 * 128)]
    struct Shared
    {
        [FieldOffset(128)] public int Left;                  // units that nobody took yet; below 0 where more were wanted
        [FieldOffset(132)] public int Chunk;                 // units taken at once
        [FieldOffset(136)] public int Units;
        [FieldOffset(144)] public Call? Call;
        [FieldOffset(256)] public int Finished;              // units
        [FieldOffset(384)] public int Pending;               // recordings, the one that runs included
        [FieldOffset(512)] public int Sleepers;
        [FieldOffset(640)] public int Waiting;
        [FieldOffset(644)] public int Seat;                  // 1: one that waits takes part
    }
}
