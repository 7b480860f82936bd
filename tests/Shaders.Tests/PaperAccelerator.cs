using System.Reflection;
using System.Reflection.Emit;
using ILGPU;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace Tessera.Shaders.Tests;

using Kernel = ILGPU.Runtime.Kernel;

/// <summary>A CUDA GPU of a given architecture that is not there: kernels are compiled to PTX and kept, launches do nothing.</summary>
sealed class PaperAccelerator : Accelerator
{
    readonly Dictionary<string, string> made = [];
    readonly List<Kernel> kept = []; // ILGPU holds kernels weakly, and would compile them again

    PaperAccelerator(Context context, CudaArchitecture architecture, CudaInstructionSet instructions) : base(context, new PaperDevice(architecture))
    {
        NativePtr = 1;
        WarpSize = 32;
        DefaultStream = CreateStreamInternal();
        Init(new PTXBackend(context, architecture, instructions, null!));
    }

    /// <param name="architecture">75 for sm_75.</param>
    /// <param name="instructions">78 for PTX 7.8.</param>
    public static (Context Context, PaperAccelerator Accelerator) Create(int architecture, int instructions = 78)
    {
        var context = Context.Create(builder => Runtime.Devices.Ilgpu.IlgpuDevice.Compile(builder));
        return (context, new PaperAccelerator(context, new(architecture / 10, architecture % 10), new(instructions / 10, instructions % 10)));
    }

    /// <summary>The PTX of the kernels that were loaded since they were taken last, by name.</summary>
    public Dictionary<string, string> Take()
    {
        var taken = new Dictionary<string, string>(made);
        made.Clear();
        return taken;
    }

    /// <summary>Memory of any length.</summary>
    public ArrayView<byte> View(long bytes) => new(new PaperBuffer(this, bytes), 0, bytes);

    PaperKernel Load(ILGPU.Backends.CompiledKernel compiled)
    {
        var method = compiled.SourceMethod;
        made[$"{method.DeclaringType!.Name}.{method.Name}({string.Join(", ", method.GetGenericArguments().AsEnumerable())})"] =
            ((PTXCompiledKernel)compiled).PTXAssembly;
        var parameters = method.GetParameters().Select(p => p.ParameterType);
        var launcher = new DynamicMethod("Launch", typeof(void), [typeof(Kernel), typeof(AcceleratorStream), typeof(KernelConfig), .. parameters],
            typeof(PaperAccelerator).Module);
        launcher.GetILGenerator().Emit(OpCodes.Ret);
        kept.Add(new PaperKernel(this, compiled, launcher));
        return (PaperKernel)kept[^1];
    }

    protected override Kernel LoadKernelInternal(ILGPU.Backends.CompiledKernel kernel) => Load(kernel);

    protected override Kernel LoadImplicitlyGroupedKernelInternal(ILGPU.Backends.CompiledKernel kernel, int customGroupSize, out KernelInfo? kernelInfo)
    {
        kernelInfo = null;
        return Load(kernel);
    }

    protected override Kernel LoadAutoGroupedKernelInternal(ILGPU.Backends.CompiledKernel kernel, out KernelInfo? kernelInfo) =>
        LoadImplicitlyGroupedKernelInternal(kernel, 0, out kernelInfo);

    public override TExtension CreateExtension<TExtension, TExtensionProvider>(TExtensionProvider provider) => throw new NotSupportedException();

    protected override AcceleratorStream CreateStreamInternal() => new PaperStream(this);

    protected override MemoryBuffer AllocateRawInternal(long length, int elementSize) => new PaperBuffer(this, length * elementSize);

    protected override PageLockScope<T> CreatePageLockFromPinnedInternal<T>(IntPtr pinned, long numElements) => throw new NotSupportedException();

    protected override int EstimateMaxActiveGroupsPerMultiprocessorInternal(Kernel kernel, int groupSize, int dynamicSharedMemorySizeInBytes) => 1;

    protected override int EstimateGroupSizeInternal(Kernel kernel, Func<int, int> computeSharedMemorySize, int maxGroupSize, out int minGridSize) =>
        EstimateGroupSizeInternal(kernel, 0, maxGroupSize, out minGridSize);

    protected override int EstimateGroupSizeInternal(Kernel kernel, int dynamicSharedMemorySizeInBytes, int maxGroupSize, out int minGridSize) =>
        minGridSize = 1;

    protected override void SynchronizeInternal() { }

    protected override void OnBind() { }

    protected override void OnUnbind() { }

    protected override bool CanAccessPeerInternal(Accelerator otherAccelerator) => false;

    protected override void EnablePeerAccessInternal(Accelerator otherAccelerator) { }

    protected override void DisablePeerAccessInternal(Accelerator otherAccelerator) { }

    protected override void DisposeAccelerator_SyncRoot(bool disposing) { }

    [DeviceType(AcceleratorType.Cuda)]
    sealed class PaperDevice : Device
    {
        public PaperDevice(CudaArchitecture architecture)
        {
            Name = "paper";
            WarpSize = 32;
            MemorySize = 1L << 40;
            MaxGridSize = new Index3D(int.MaxValue, 65535, 65535);
            MaxGroupSize = new Index3D(1024, 1024, 64);
            MaxNumThreadsPerGroup = 1024;
            MaxSharedMemoryPerGroup = 48 << 10;
            MaxConstantMemory = 64 << 10;
            NumMultiprocessors = 100;
            MaxNumThreadsPerMultiprocessor = 2048;
            Capabilities = new CudaCapabilityContext(architecture);
        }

        public override Accelerator CreateAccelerator(Context context) => throw new NotSupportedException();
    }

    sealed class PaperKernel(Accelerator on, ILGPU.Backends.CompiledKernel compiled, MethodInfo launcher) : Kernel(on, compiled, launcher)
    {
        protected override void DisposeAcceleratorObject(bool disposing) { }
    }

    sealed class PaperStream(Accelerator on) : AcceleratorStream(on)
    {
        public override void Synchronize() { }

        protected override ProfilingMarker AddProfilingMarkerInternal() => throw new NotSupportedException();

        protected override void DisposeAcceleratorObject(bool disposing) { }
    }

    sealed class PaperBuffer(Accelerator on, long bytes) : MemoryBuffer(on, bytes, 1)
    {
        protected override void MemSet(AcceleratorStream stream, byte value, in ArrayView<byte> targetView) { }

        protected override void CopyTo(AcceleratorStream stream, in ArrayView<byte> sourceView, in ArrayView<byte> targetView) { }

        protected override void CopyFrom(AcceleratorStream stream, in ArrayView<byte> sourceView, in ArrayView<byte> targetView) { }

        protected override void DisposeAcceleratorObject(bool disposing) { }
    }
}
