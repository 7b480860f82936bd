using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>Every op of the catalogue, over the cases that it gives, on every device that has a body for it.</summary>
public class OpTests(OpenDevices devices) : IClassFixture<OpenDevices>
{
    public static TheoryData<string, string, string> Cases()
    {
        var cases = new TheoryData<string, string, string>();
        foreach (var op in OpCatalog.All)
            foreach (string device in TestDevices.Names.Select(d => d.Data))
                foreach (var one in op.Cases.Equality) cases.Add(device, op.Name, one.Name);
        return cases;
    }

    /// <summary>Without a count and with one that counts all rows, and with every smaller one.</summary>
    [Theory, MemberData(nameof(Cases))]
    public void Ops_equal_the_reference(string device, string op, string name)
    {
        var kernel = OpCatalog.All.Single(o => o.Name == op);
        var one = kernel.Cases.Equality.Single(c => c.Name == name);
        var operands = one.Operands();
        using var run = new OpRun(devices[device], operands);
        try { run.Run((gpu, t) => one.Launch(gpu, [.. operands.Select(t)])); }
        catch (TesseraException e) when (!TestDevices.IsComplete(device))
        {
            Assert.Contains("has no ILGPU body", e.Message); // of this type yet
            return;
        }
        run.Check();
        int at = Array.IndexOf(kernel.Kernel.Bindings, "count:in");
        if (at < 0) return;
        var outputs = operands.OfType<Operand>().Where(o => o.Bound is not null).ToList();
        var counted = outputs.ConvertAll(run.Read);
        run.CheckFewerRows(operands[at]!);
        run.Run((gpu, t) => one.Launch(gpu, [.. operands.Select((o, i) => i == at ? Tensor.None : t(o))]));
        run.ReplayAfresh();
        Assert.Equal(counted, outputs.ConvertAll(run.Read));
    }

    public static TheoryData<string> Names => [.. OpCatalog.All.Select(o => o.Name)];

    /// <summary>A variant that no case reaches is a body that no test sees.</summary>
    [Theory, MemberData(nameof(Names))]
    public void Every_variant_is_reached_by_a_case(string op)
    {
        var entry = OpCatalog.All.Single(o => o.Name == op);
        var reached = new HashSet<string>();
        foreach (var one in entry.Cases.Equality)
        {
            var operands = one.Operands();
            using var memory = devices["host"].Allocate(operands.Max(o => o?.ByteCount ?? 0));
            var recorder = new Runtime.Devices.CallList();
            one.Launch(recorder, [.. operands.Select(o => o?.View(memory) ?? Tensor.None)]);
            foreach (bool dot in new[] { false, true })
                reached.Add(entry.Kernel.Vulkan.First(v => v.Fits(new Features(8, dot), Assert.Single(recorder.Calls))).Shader);
        }
        Assert.Equal(entry.Kernel.Vulkan.Select(v => v.Shader).Order(), reached.Order());
    }

    /// <summary>A recording for so many rows may hold fewer; what it is said to move and compute is never more than what is bound.</summary>
    [Theory, MemberData(nameof(Names))]
    public void Timed_calls_know_what_they_move(string op)
    {
        var entry = OpCatalog.All.Single(o => o.Name == op);
        foreach (var one in new[] { Dense, Sparse }.SelectMany(m => entry.Cases.Timing(m, new StepTypes(DType.Q8, DType.A8, DType.F16))))
        {
            var operands = one.Operands();
            var recorder = new Runtime.Devices.CallList();
            using var memory = devices["host"].Allocate(operands.Max(o => o?.ByteCount ?? 0));
            one.Launch(recorder, [.. operands.Select(o => o?.View(memory) ?? Tensor.None)]);
            var call = Assert.Single(recorder.Calls);
            double bound = call.Tensors.Zip(entry.Kernel.Bindings).Sum(b => b.First.Bytes * (b.Second.EndsWith("inout", StringComparison.Ordinal) ? 2.0 : 1));
            Assert.InRange(call.Bytes(one.Work), 1, bound);
            Assert.InRange(call.Bytes(one.Work with { Rows = 1 }), 1, call.Bytes(one.Work));
            Assert.InRange(call.Flops(one.Work), 0, call.Flops(Workload.Full));
        }
    }

    /// <summary>Small models of both kinds, with numbers that no two share.</summary>
    internal static readonly ModelShape Dense = new(Hidden: 192, Heads: 4, KvHeads: 2, HeadDim: 32, Ffn: 320, Vocabulary: 1000);
    internal static readonly ModelShape Sparse = new(Hidden: 160, Heads: 4, KvHeads: 1, HeadDim: 64, Ffn: 96, Vocabulary: 1100, Experts: 24, PerToken: 3);
}
