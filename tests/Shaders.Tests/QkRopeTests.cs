using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

public class QkRopeTests
{
    /// <summary>.NET 10 has no instruction for it, so the host's own way is compared with the runtime's, on every exponent, ties and the largest.</summary>
    [Fact]
    public void The_host_stores_values_as_the_nearest_halves()
    {
        const int Tokens = 40, Dim = 128;
        var random = new Random(5);
        var x = new float[Tokens * 3 * Dim];
        for (int i = 0; i < x.Length; i++)
        {
            int low = random.Next(5) switch { 0 => 0, 1 => 0x1000, 2 => 0xfff, 3 => 0x1001, _ => random.Next(1 << 13) };
            x[i] = BitConverter.Int32BitsToSingle((random.Next(90, 145) << 23) | (random.Next(2) << 31) | (random.Next(1 << 10) << 13) | low);
        }
        float[] edges =
        [
            0, -0f, 65504, 65519.996f, 65520, -65520, float.MaxValue, float.PositiveInfinity, float.NaN,
            5.9604645e-8f, 2.9802322e-8f, 2.9802326e-8f, 6.1035156e-5f, 6.0975552e-5f, float.Epsilon,
        ];
        edges.CopyTo(x, 2 * Dim);
        Operand qkv = Fill.Packed<float>(DType.F32, Tokens, 3 * Dim, x).InOut(0), norm = Fill.Vector(random, Dim);
        Operand rope = Fill.Packed<float>(DType.F32, Tokens, Dim, new float[Tokens * Dim]), slots = Fill.Ints([.. Enumerable.Range(0, Tokens)]);
        Operand keys = Fill.Cache(random, DType.F16, 1, Dim, 3, keys: true, []).InOut(0);
        Operand values = Fill.Cache(random, DType.F16, 1, Dim, 3, keys: false, []).InOut(0);
        using var host = TestDevices.Open("host");
        using var run = new OpRun(host, qkv, norm, rope, slots, keys, values);
        run.Run((gpu, t) => gpu.QkRope(t(qkv), t(norm), t(norm), t(rope), t(slots), t(keys), t(values), 1, 1, 1e-6f, Tensor.None));
        byte[] stored = run.Read(values);
        for (int i = 0; i < Tokens * Dim; i++)
        {
            Half expected = (Half)x[i / Dim * 3 * Dim + 2 * Dim + i % Dim], actual = BitConverter.ToHalf(stored, i * 2);
            bool same = BitConverter.HalfToInt16Bits(expected) == BitConverter.HalfToInt16Bits(actual) || (Half.IsNaN(expected) && Half.IsNaN(actual));
            Assert.True(same, $"{i}: expected {expected}, actual {actual}");
        }
    }
}
