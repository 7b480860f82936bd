using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>The bodies for CUDA and OpenCL on ILGPU's CPU accelerator, which needs no driver: of every op the smallest case of each type.</summary>
public class DebuggerTests(OpenDevices devices) : IClassFixture<OpenDevices>
{
    public static TheoryData<string> Ops => [.. OpCatalog.All.Select(op => op.Name)];

    [Theory, MemberData(nameof(Ops))]
    public void The_smallest_cases_equal_the_reference(string name)
    {
        var op = OpCatalog.All.Single(o => o.Name == name);
        foreach (var one in op.Cases.Equality.GroupBy(c => c.Types).Select(type => type.MinBy(Work)!))
        {
            var operands = one.Operands();
            using var run = new OpRun(devices["ilgpu-cpu"], operands);
            try { run.Run((gpu, t) => one.Launch(gpu, [.. operands.Select(t)])).Check(); }
            catch (TesseraException e) when (e.Message.Contains("has no ILGPU body")) { } // of this type yet
        }
    }

    [Fact]
    public void It_is_there_by_its_one_name()
    {
        Assert.Equal("ilgpu-cpu", devices["ilgpu-cpu"].Name);
        Assert.Equal(DeviceKind.Software, Assert.Single(DeviceCatalog.List(), d => d.Name == "ilgpu-cpu").Kind); // so never the default
        var e = Assert.Throws<TesseraException>(() => DeviceCatalog.Open("ilgpu-cpu:0"));
        Assert.Matches("^device 'ilgpu-cpu:0': expected .*opencl:N, ilgpu-cpu, ", e.Message);
    }

    static long Work(OpCase one) => one.Operands().Sum(o => o?.ByteCount ?? 0);
}
