namespace Tessera.Runtime.Devices;

/// <summary>What a device was given, in order: submissions are numbered from 1 on, and one that is done means that all before it are.</summary>
public abstract class Timeline
{
    /// <summary>Whether a submission is done, or never will be; does not wait.</summary>
    public abstract bool IsDone(long number);

    /// <summary>Waits for a submission. What went wrong up to it is thrown here, once.</summary>
    public abstract void Wait(long number);
}

/// <summary>When a submitted recording is done: to be polled, waited for or awaited, on any thread. The default is done.</summary>
public readonly record struct Completion(Timeline? Timeline, long Number)
{
    /// <summary>Nothing more happens: <see cref="Wait"/> returns at once, or throws what went wrong.</summary>
    public bool IsDone => Timeline?.IsDone(Number) ?? true;

    /// <summary>Waits for this recording and those submitted before it.</summary>
    public void Wait() => Timeline?.Wait(Number);

    /// <summary>The same off the caller's thread.</summary>
    public Task WaitAsync() => Timeline is null ? Task.CompletedTask : Task.Run(Wait);
}
