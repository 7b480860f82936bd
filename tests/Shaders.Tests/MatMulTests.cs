using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

public class MatMulTests
{
    static readonly (int Tokens, int Outer, int Inner)[] Shapes =
        [(1, 1, 32), (1, 16, 96), (1, 17, 100), (3, 33, 64), (4, 48, 32), (5, 129, 352), (9, 64, 1000), (17, 1003, 37)];

    public static TheoryData<string, DType, DType, int, int, int> Cases()
    {
        var cases = new TheoryData<string, DType, DType, int, int, int>();
        foreach (string device in TestDevices.Names.Select(n => n.Data))
            foreach (var (t, o, i) in Shapes)
            {
                cases.Add(device, DType.Q8, DType.A8, t, o, i);
                foreach (var w in new[] { DType.F32, DType.BF16, DType.F16, DType.Q8 }) cases.Add(device, w, DType.F32, t, o, i);
            }
        return cases;
    }

    [Theory, MemberData(nameof(Cases))]
    public void Product_equals_the_reference(string device, DType weights, DType activations, int tokens, int outer, int inner)
    {
        var random = new Random(tokens * 1000 + outer);
        Operand w = Operand.Weights(random, weights, outer, inner), x = Operand.Rows(random, activations, tokens, inner), y = Operand.Out(DType.F32, tokens, outer);
        using var run = new OpRun(device, w, x, y);
        run.Run((gpu, t) => gpu.MatMul(t(w), t(x), t(y), Tensor.None, Tensor.None)).Check(y, 1e-12);
    }

    [Theory, MemberData(nameof(Cases))]
    public void Residual_and_bias_are_added(string device, DType weights, DType activations, int tokens, int outer, int inner)
    {
        var random = new Random(tokens * 1000 + inner);
        Operand w = Operand.Weights(random, weights, outer, inner), x = Operand.Rows(random, activations, tokens, inner);
        Operand y = Operand.InOut(Operand.Rows(random, DType.F32, tokens, outer)), bias = Operand.PackedRandom(random, 1, outer);
        using var run = new OpRun(device, w, x, y, bias);
        run.Run((gpu, t) => gpu.MatMulAdd(t(w), t(x), t(y), t(bias), Tensor.None)).Check(y, 1e-12);
    }

    [Theory, MemberData(nameof(Cases))]
    public void A_token_does_not_see_the_others(string device, DType weights, DType activations, int tokens, int outer, int inner)
    {
        var random = new Random(outer + inner);
        Operand w = Operand.Weights(random, weights, outer, inner), x = Operand.Rows(random, activations, tokens, inner), y = Operand.Out(DType.F32, tokens, outer), count = Operand.Ints(tokens);
        using var run = new OpRun(device, w, x, y, count);
        byte[] all = run.Run((gpu, t) => gpu.MatMul(t(w), t(x), t(y), Tensor.None, t(count))).Read(y);
        int stride = Rows.Stride(DType.F32, outer);
        for (int some = 1; some < tokens; some++)
        {
            var poison = new byte[all.Length];
            Array.Fill(poison, Operand.Poison);
            run.Replay(y, poison);
            byte[] fewer = run.Replay(count, BitConverter.GetBytes(some)).Read(y);
            Assert.Equal(all.AsSpan(0, (some - 1) * stride + outer * 4), fewer.AsSpan(0, (some - 1) * stride + outer * 4));
            run.Replay(count, BitConverter.GetBytes(0));
            run.Replay(y, poison);
            run.Replay(count, BitConverter.GetBytes(some));
            Assert.All(run.Read(y)[(some * stride)..], b => Assert.Equal(Operand.Poison, b));
        }
    }
}
