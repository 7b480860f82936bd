using Tessera.Runtime.Devices.Host;

namespace Tessera.Runtime.Devices.Reference;

/// <summary>The definition: every op by its scalar reference body, on one thread. Slow, and right.</summary>
public sealed class ReferenceDevice : InPlaceDevice
{
    public override string Name => "reference";

    public override string Description => "scalar reference bodies, 1 thread";

    public override void Submit(Recording recording)
    {
        foreach (var call in recording.Calls) call.Kernel.Reference(call, 0, call.Units);
    }

    public override void Dispose() { }
}
