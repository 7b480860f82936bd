using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>A16, activations of 16 bits: what the definition makes of them, and that no device takes them for something else.</summary>
public class HalfActivationTests(OpenDevices devices) : IClassFixture<OpenDevices>
{
    const int Tokens = 5, Dim = 100, Outer = 37;

    public static TheoryData<string> Devices => TestDevices.Names;

    [Fact]
    public void Rows_are_halves_with_zeros_behind()
    {
        Assert.Equal(2 * 128, Rows.Stride(DType.F16, Dim));
        float[] values = [.. Enumerable.Range(0, Dim).Select(i => i % 7 == 0 ? 1e5f : 1 / (3f + i) * (i % 2 == 0 ? 1 : -1))];
        var y = Fill.Out(DType.F16, 2, Dim, 0);
        using var device = new Runtime.Devices.Reference.ReferenceDevice();
        using var memory = device.Allocate(y.ByteCount);
        Elements.StoreRow(y.View(memory), 1, values);
        var stored = new byte[y.ByteCount];
        device.Read(y.View(memory), stored);
        var halves = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, Half>(stored)[128..];
        for (int i = 0; i < 128; i++) Assert.Equal(i < Dim ? (Half)values[i] : Half.Zero, halves[i]);
        Assert.True(Half.IsPositiveInfinity(halves[7]));
        Assert.Equal((float)halves[9], Elements.Activation(y.View(memory), 1, 9));
    }

    public static TheoryData<DType> Weights => [DType.F16, DType.BF16];

    /// <summary>A layer in A16 is the layer in F32 but for the rounding of what lies between its ops.</summary>
    [Theory, MemberData(nameof(Weights))]
    public void The_definition_computes_with_them(DType weights)
    {
        float[] Run(DType activations)
        {
            var random = new Random(3);
            Operand x = Fill.Rows(random, DType.F32, Tokens, Dim), norm = Fill.Vector(random, Dim), gateUp = GateUpOp.Joined(random, weights, Outer, Dim);
            Operand down = Fill.Weights(random, weights, Dim, Outer), normed = Fill.Out(activations, Tokens, Dim, 0);
            Operand gated = Fill.Out(activations, Tokens, Outer, 0), y = Fill.Out(DType.F32, Tokens, Dim, 0);
            using var device = new Runtime.Devices.Reference.ReferenceDevice();
            using var run = new OpRun(device, x, norm, gateUp, down, normed, gated, y);
            run.Run((gpu, t) =>
            {
                gpu.RmsNorm(t(x), t(norm), t(normed), 1e-6f, Tensor.None);
                gpu.GateUp(t(gateUp), t(normed), t(gated), Tensor.None);
                gpu.MatMul(t(down), t(gated), t(y), Tensor.None, Tensor.None);
            });
            return y.Decode(run.Read(y));
        }
        float[] exact = Run(DType.F32), half = Run(DType.F16);
        double error = exact.Zip(half).Sum(v => Math.Pow(v.First - v.Second, 2)), power = exact.Sum(v => (double)v * v);
        Assert.InRange(error / power, 1e-12, 1e-6); // 11 bits
    }

    [Theory, MemberData(nameof(Devices))]
    public void A_device_without_a_body_says_so(string name)
    {
        var random = new Random(4);
        Operand x = Fill.Rows(random, DType.F16, Tokens, Dim), w = Fill.Weights(random, DType.BF16, Outer, Dim), y = Fill.Out(DType.F32, Tokens, Outer, 0);
        var device = devices[name];
        using var memory = device.Allocate(x.ByteCount + w.ByteCount + y.ByteCount + 512);
        var e = Assert.Throws<TesseraException>(() =>
            device.Record(gpu => gpu.MatMul(w.View(memory), x.View(memory), y.View(memory), Tensor.None, Tensor.None)));
        Assert.Matches(@"^\[MatMul\] has no (host|Vulkan|ILGPU) body for .*f16", e.Message);
    }

    /// <summary>Halves go with halves: what a matrix unit multiplies.</summary>
    [Fact]
    public void Other_weights_refuse_them()
    {
        var random = new Random(5);
        using var device = new Runtime.Devices.Reference.ReferenceDevice();
        using var memory = device.Allocate(1 << 20);
        Operand x = Fill.Rows(random, DType.F16, Tokens, Dim), y = Fill.Out(DType.F32, Tokens, Outer, 0);
        foreach (var type in OpCases.WeightTypes)
        {
            var w = Fill.Weights(random, type, Outer, Dim);
            var recorder = new Runtime.Devices.CallList();
            void Launch() => recorder.MatMul(w.View(memory), x.View(memory), y.View(memory), Tensor.None, Tensor.None);
            if (type is DType.F16 or DType.BF16) Launch();
            else Assert.Contains("[MatMul] expects", Assert.Throws<TesseraException>(Launch).Message);
        }
    }
}
