using Tessera.Runtime.Devices.Ilgpu;

namespace Tessera;

/// <summary>CUDA and OpenCL, through ILGPU: an assembly of its own, since it makes code at run time.</summary>
public static class IlgpuDevices
{
    /// <summary>
    /// Adds <c>cuda:N</c>, <c>opencl:N</c> and <c>ilgpu-cpu</c>, which debugs their kernels, to <see cref="DeviceCatalog"/>; a program calls it once, before
    /// it lists devices or loads a model.
    /// </summary>
    public static void Register()
    {
        DeviceCatalog.Register(IlgpuDevice.Cuda);
        DeviceCatalog.Register(IlgpuDevice.OpenCl);
        DeviceCatalog.Register(IlgpuDevice.Cpu);
    }
}
