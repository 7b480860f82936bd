using Tessera.Runtime.Devices;
using Tessera.Shaders;

namespace Tessera.Bench;

/// <summary>Times launches as they run in a step: many in one recording, in turn, by the device's own clock.</summary>
static class OpTimer
{
    const double RunSeconds = 0.03, WarmSeconds = 0.3;
    const int MaxCalls = 4096;

    /// <summary>Seconds of one launch: the median of runs, each one replay of a recording that repeats the launches in turn.</summary>
    /// <param name="device">Where they run.</param>
    /// <param name="launches">One launch on several copies of its operands: as many as together exceed the last cache, so that none is found there
    /// again.</param>
    /// <param name="runs">Replays, of which the median counts.</param>
    /// <exception cref="TesseraException">The device has no body for it.</exception>
    public static double Seconds(IDevice device, IReadOnlyList<Action<IRecorder>> launches, int runs = 9)
    {
        int calls = launches.Count;
        double seconds;
        while (true) // long enough to measure, short enough to wait for
        {
            using var trial = Record(device, launches, calls);
            device.Time(trial); // compiles, and touches memory
            seconds = device.Time(trial) / calls;
            if (seconds * calls >= RunSeconds / 4 || calls >= MaxCalls) break;
            calls = Math.Min(MaxCalls, calls * 4);
        }
        calls = (int)Math.Clamp(RunSeconds / seconds, 1, MaxCalls);
        if (calls > launches.Count) calls -= calls % launches.Count; // the next replay goes on where this one ends
        using var recording = Record(device, launches, calls);
        for (double warm = 0; warm < WarmSeconds; ) warm += device.Time(recording);
        return Enumerable.Range(0, runs).Select(_ => device.Time(recording)).Order().ElementAt(runs / 2) / calls;
    }

    static Recording Record(IDevice device, IReadOnlyList<Action<IRecorder>> launches, int calls) => device.Record(gpu =>
    {
        for (int i = 0; i < calls; i++) launches[i % launches.Count](gpu);
    });
}
