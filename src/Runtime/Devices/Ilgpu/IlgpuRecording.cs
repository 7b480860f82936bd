using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Ilgpu;

/// <summary>Prebound launches, in order.</summary>
sealed class IlgpuRecording(Call[] calls, Action[] launches) : Recording(calls)
{
    public Action[] Launches { get; } = launches;
}
