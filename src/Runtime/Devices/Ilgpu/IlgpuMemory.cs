using ILGPU;
using ILGPU.Runtime;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Ilgpu;

/// <summary>A buffer of CUDA or OpenCL; OpenCL has no addresses, so kernels get views.</summary>
sealed class IlgpuMemory : DeviceMemory
{
    readonly IlgpuDevice device;

    public IlgpuMemory(IlgpuDevice device, MemoryBuffer1D<byte, Stride1D.Dense> buffer, long bytes) : base(bytes)
    {
        (this.device, Buffer) = (device, buffer);
        device.Used += buffer.LengthInBytes;
    }

    public MemoryBuffer1D<byte, Stride1D.Dense> Buffer { get; }

    public override ulong Address => 0;

    public override void Dispose()
    {
        device.Used -= Buffer.LengthInBytes;
        Buffer.Dispose();
    }
}
