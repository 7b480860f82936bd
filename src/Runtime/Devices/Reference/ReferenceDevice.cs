using Tessera.Runtime.Devices.Host;

namespace Tessera.Runtime.Devices.Reference;

/// <summary>The definition: every op by its scalar reference body, on one thread. Slow, and right.</summary>
public sealed class ReferenceDevice() : InPlaceDevice(1, kernel => kernel.Reference)
{
    public override string Name => "reference";

    public override string Description => "scalar reference bodies, 1 thread";
}
