using System.Reflection;
using ILGPU;
using ILGPU.Backends.OpenCL;
using ILGPU.Backends.PTX;
using ILGPU.IR;
using ILGPU.IR.Intrinsics;
using Tessera.Runtime.Devices.Ilgpu;

namespace Tessera.Shaders;

/// <summary>dp4a on CUDA as an operation that ILGPU generates: what inline PTX gives out goes through local memory, this stays in a register.</summary>
static class Dp4a
{
    /// <summary>Makes it known to a context's kernels.</summary>
    public static Context.Builder Dots(this Context.Builder builder)
    {
        var add = Method(nameof(Add));
        builder.GetIntrinsicManager().RegisterMethod(add, new PTXIntrinsic(Method(nameof(Generate)), IntrinsicImplementationMode.GenerateCode));
        builder.GetIntrinsicManager().RegisterMethod(add, new CLIntrinsic(Method(nameof(Multiply)), IntrinsicImplementationMode.Redirect));
        return builder;
    }

    static MethodInfo Method(string name) => typeof(Dp4a).GetMethod(name, BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.Static)!;

    /// <summary>The sum of the products of four signed bytes and another sum.</summary>
    [IntrinsicImplementation]
    public static int Add(int a, int b, int sum) => Multiply(a, b, sum);

    static int Multiply(int a, int b, int sum) => sum + Bits.Dot(a, b);

    static void Generate(PTXBackend backend, PTXCodeGenerator code, Value call)
    {
        var (a, b, sum) = (code.LoadPrimitive(call[0]), code.LoadPrimitive(call[1]), code.LoadPrimitive(call[2]));
        var result = code.AllocateHardware(call);
        var command = code.BeginCommand("dp4a.s32.s32");
        command.AppendArgument(result);
        command.AppendArgument(a);
        command.AppendArgument(b);
        command.AppendArgument(sum);
        command.Dispose(); // ends the line
    }
}
