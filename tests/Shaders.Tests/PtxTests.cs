using Tessera.Runtime.Devices;
using Tessera.Runtime.Devices.Ilgpu;
using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>Every kernel of every ILGPU body becomes PTX, without a GPU, and those that decide a model's speed are what a GPU wants.</summary>
[Trait("set", "all")] // ILGPU takes its time
public class PtxTests
{
    /// <summary>What ILGPU compiles for beyond sm_80 too.</summary>
    static readonly int[] architectures = [80];

    /// <summary>Of the products one stands for all, which have its body: ILGPU takes seconds and a hundred megabytes for a kernel.</summary>
    static readonly Op[] bodies =
        [.. OpCatalog.All.Where(op => Bodies.All.ContainsKey(op.Name) && op.Name is not ("GateUp" or "ExpertGateUp" or "ExpertDown"))];

    public static TheoryData<string, int> Ops => Rows(bodies);

    /// <summary>Those whose time is that of reading weights or the cache.</summary>
    public static TheoryData<string, int> Hot => Rows(bodies.Where(op => op.Name == "Attention" || op.Kernel.Canonical is not null));

    public static TheoryData<string, int> Products => Rows(bodies.Where(op => op.Kernel.Canonical is not null));

    static TheoryData<string, int> Rows(IEnumerable<Op> ops) =>
        [.. from op in ops from sm in architectures select new TheoryDataRow<string, int>(op.Name, sm)];

    [Theory, MemberData(nameof(Ops))]
    public void Kernels_become_ptx(string name, int sm)
    {
        var kernels = Compile(name, sm);
        Assert.NotEmpty(kernels);
        Assert.All(kernels, k => Assert.Contains($".target sm_{sm}", k.Ptx));
    }

    [Theory, MemberData(nameof(Hot))]
    public void What_streams_keeps_its_numbers_in_registers(string name, int sm) =>
        Assert.All(Compile(name, sm), k => Assert.DoesNotContain(".local", k.Ptx));

    /// <summary>What NVIDIA's own assembler says, where tests/install.sh ptxas has put it.</summary>
    [Theory, MemberData(nameof(Hot))]
    public void The_assembler_spills_nothing(string name, int sm)
    {
        string ptxas = Path.Combine(Environment.GetEnvironmentVariable("XDG_CACHE_HOME") ?? Path.Combine(Environment.GetFolderPath(
            Environment.SpecialFolder.UserProfile), ".cache"), "tessera", "ptxas");
        if (!File.Exists(ptxas)) Assert.Skip("ptxas is missing: run tests/install.sh ptxas");
        string file = Path.GetTempFileName();
        try
        {
            foreach (var k in Compile(name, sm).DistinctBy(k => k.Kernel))
            {
                File.WriteAllText(file, k.Ptx);
                var run = Command.Start(ptxas, "-v", $"-arch=sm_{sm}", file, "-o", file);
                Assert.True(run.ExitCode == 0, $"{k.Kernel}: {run.Errors}");
                Assert.Contains("0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads", run.Errors + run.Output);
            }
        }
        finally { File.Delete(file); }
    }

    [Theory, MemberData(nameof(Products))]
    public void Products_read_16_bytes_at_once(string name, int sm) =>
        Assert.All(Compile(name, sm), k => Assert.True(k.Ptx.Contains("ld.global.v4") || k.Ptx.Contains("ld.global.v2.b64"), $"{k.Kernel} reads less"));

    /// <summary>The canonical order rounds the product with the scales and the addition apart.</summary>
    [Theory, MemberData(nameof(Products))]
    public void Products_with_one_order_of_sums_fuse_nothing(string name, int sm) =>
        Assert.All(Compile(name, sm).Where(k => k.Types is "q8 a8" or "q4 a8"), k => Assert.False(k.Ptx.Contains("fma.rn.f32"), $"{k.Kernel} fuses"));

    static readonly Dictionary<(string, int), List<(string Types, string Kernel, string Ptx)>> compiled = [];

    /// <summary>The kernels that the cases of an op reach, compiled once for all tests.</summary>
    static List<(string Types, string Kernel, string Ptx)> Compile(string name, int sm) =>
        compiled.TryGetValue((name, sm), out var known) ? known : compiled[(name, sm)] = [.. Compiled(name, sm)];

    static IEnumerable<(string Types, string Kernel, string Ptx)> Compiled(string name, int sm)
    {
        var (context, paper) = PaperAccelerator.Create(sm);
        using var ending = context;
        using var device = TestDevices.Open("host");
        var view = paper.View(1L << 40);
        foreach (var one in OpCatalog.All.Single(o => o.Name == name).Cases.Equality)
        {
            var operands = one.Operands();
            var list = new CallList();
            using var memory = device.Allocate(operands.Max(o => o?.ByteCount ?? 0));
            one.Launch(list, [.. operands.Select(o => o?.View(memory) ?? Tensor.None)]);
            foreach (var call in list.Calls)
            {
                try { Bodies.All[name](paper, call, _ => view)(); }
                catch (TesseraException e) when (e.Message.Contains("has no ILGPU body")) { continue; } // of this type yet
                foreach (var (kernel, ptx) in paper.Take()) yield return (one.Types, kernel, ptx);
            }
        }
    }
}
