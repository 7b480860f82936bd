using ILGPU.Runtime;

namespace Tessera.Runtime.Devices.Ilgpu;

/// <summary>The default stream of an accelerator. ILGPU does not tell how far it is, so a thread waits for it where somebody wants to know.</summary>
sealed class IlgpuTimeline(Accelerator accelerator) : Timeline
{
    long submitted, done;
    Task watch = Task.CompletedTask;

    public Completion Submitted() => new(this, ++submitted);

    public override bool IsDone(long number)
    {
        if (Volatile.Read(ref done) >= number) return true;
        if (watch.IsCompleted) watch = Task.Run(Wait);
        return false;
    }

    public override void Wait(long number)
    {
        if (Volatile.Read(ref done) < number) Wait();
    }

    public void Wait()
    {
        long all = Volatile.Read(ref submitted);
        accelerator.Synchronize();
        Volatile.Write(ref done, all);
    }
}
