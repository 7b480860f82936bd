using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

public class QkRopeTests
{
    public static TheoryData<string, DType, int, int, int, int> Cases()
    {
        var cases = new TheoryData<string, DType, int, int, int, int>();
        foreach (string device in TestDevices.Complete.Select(n => n.Data))
            foreach (var kv in new[] { DType.F32, DType.F16, DType.Q8 })
                foreach (var (t, h, k, d) in new[] { (1, 1, 1, 32), (3, 4, 2, 64), (17, 16, 8, 128), (5, 8, 1, 96) }) cases.Add(device, kv, t, h, k, d);
        return cases;
    }

    [Theory, MemberData(nameof(Cases))]
    public void Heads_are_normalised_turned_and_stored(string device, DType kv, int tokens, int heads, int kvHeads, int dim)
    {
        var random = new Random(tokens);
        const int Blocks = 5;
        int[] places = [.. Enumerable.Range(0, Blocks * KvBlock.Tokens)];
        random.Shuffle(places);
        int[] slots = places[..tokens];
        if (tokens > 2) slots[1] = -1; // stores nothing
        var angles = new float[tokens * dim];
        for (int i = 0; i < angles.Length; i++)
        {
            double angle = random.NextDouble() * 6;
            angles[i] = (float)(i % dim < dim / 2 ? Math.Cos(angle) : Math.Sin(angle));
        }
        byte[] poison = Enumerable.Repeat(Operand.Poison, (int)KvBlock.Bytes(kv, kvHeads, dim, Blocks)).ToArray();
        Operand qkv = Operand.InOut(Operand.Rows(random, DType.F32, tokens, (heads + 2 * kvHeads) * dim, spread: 3)), qNorm = Operand.PackedRandom(random, 1, dim), kNorm = Operand.PackedRandom(random, 1, dim);
        Operand rope = Operand.Packed<float>(DType.F32, tokens, dim, angles), slotList = Operand.Ints(slots), count = Operand.Ints(tokens);
        Operand keys = Operand.Cache(poison, kv, kvHeads, dim, Blocks, output: true), values = Operand.Cache(poison, kv, kvHeads, dim, Blocks, output: true);
        using var run = new OpRun(device, qkv, qNorm, kNorm, rope, slotList, keys, values, count);
        run.Run((gpu, t) => gpu.QkRope(t(qkv), t(qNorm), t(kNorm), t(rope), t(slotList), t(keys), t(values), heads, kvHeads, 1e-6f, t(count))).Check(qkv, 1e-12);
        foreach (var cache in new[] { keys, values })
        {
            if (kv == DType.Q8) SameQ8(run.ReadReference(cache), run.Read(cache), dim);
            else Same(run.ReadReference(cache), run.Read(cache), kv);
        }
    }

    /// <summary>.NET 10 has no instruction for it, so the host's own way is held to the runtime's, on every exponent, ties and the largest.</summary>
    [Fact]
    public void The_host_stores_values_as_the_nearest_halves()
    {
        const int Tokens = 40, Dim = 128;
        var random = new Random(5);
        var x = new float[Tokens * 3 * Dim];
        for (int i = 0; i < x.Length; i++)
        {
            int bits = (random.Next(90, 145) << 23) | (random.Next(2) << 31) | (random.Next(1 << 10) << 13) | random.Next(5) switch { 0 => 0, 1 => 0x1000, 2 => 0xfff, 3 => 0x1001, _ => random.Next(1 << 13) };
            x[i] = BitConverter.Int32BitsToSingle(bits);
        }
        float[] edges = [0, -0f, 65504, 65519.996f, 65520, -65520, float.MaxValue, float.PositiveInfinity, float.NaN, 5.9604645e-8f, 2.9802322e-8f, 2.9802326e-8f, 6.1035156e-5f, 6.0975552e-5f, float.Epsilon];
        edges.CopyTo(x, 2 * Dim);
        var angles = new float[Tokens * Dim];
        Operand qkv = Operand.Packed<float>(DType.F32, Tokens, 3 * Dim, x, output: true), norm = Operand.PackedRandom(random, 1, Dim), rope = Operand.Packed<float>(DType.F32, Tokens, Dim, angles);
        Operand slots = Operand.Ints([.. Enumerable.Range(0, Tokens)]), count = Operand.Ints(Tokens);
        byte[] poison = Enumerable.Repeat(Operand.Poison, (int)KvBlock.Bytes(DType.F16, 1, Dim, 3)).ToArray();
        Operand keys = Operand.Cache(poison, DType.F16, 1, Dim, 3, output: true), values = Operand.Cache(poison, DType.F16, 1, Dim, 3, output: true);
        using var run = new OpRun("host", qkv, norm, norm, rope, slots, keys, values, count);
        run.Run((gpu, t) => gpu.QkRope(t(qkv), t(norm), t(norm), t(rope), t(slots), t(keys), t(values), 1, 1, 1e-6f, t(count)));
        byte[] stored = run.Read(values);
        for (int i = 0; i < Tokens * Dim; i++)
        {
            Half expected = (Half)x[i / Dim * 3 * Dim + 2 * Dim + i % Dim], actual = BitConverter.ToHalf(stored, i * 2);
            Assert.True(BitConverter.HalfToInt16Bits(expected) == BitConverter.HalfToInt16Bits(actual) || (Half.IsNaN(expected) && Half.IsNaN(actual)), $"{i}: expected {expected}, actual {actual}");
        }
    }

    /// <summary>Poison stays poison; another rounding may move a value by one step.</summary>
    static void SameQ8(byte[] expected, byte[] actual, int dim)
    {
        int block = (int)KvBlock.HeadBytes(DType.Q8, dim), values = KvBlock.Tokens * dim;
        for (int at = 0; at < expected.Length; at += block)
        {
            for (int i = at; i < at + values; i++) Assert.True(Math.Abs((sbyte)expected[i] - (sbyte)actual[i]) <= 1, $"byte {i}: expected {(sbyte)expected[i]}, actual {(sbyte)actual[i]}");
            Same(expected[(at + values)..(at + block)], actual[(at + values)..(at + block)], DType.F32);
        }
    }

    /// <summary>Poison stays poison; numbers agree to their precision.</summary>
    static void Same(byte[] expected, byte[] actual, DType type)
    {
        for (int i = 0; i < expected.Length; i += type.ElementBytes())
        {
            (float e, float a) = type == DType.F32 ? (BitConverter.ToSingle(expected, i), BitConverter.ToSingle(actual, i)) : ((float)BitConverter.ToHalf(expected, i), (float)BitConverter.ToHalf(actual, i));
            if (float.IsNaN(e)) Assert.True(float.IsNaN(a));
            else Assert.True(Math.Abs(e - a) <= (type == DType.F32 ? 1e-5f : 2e-3f) * (1 + Math.Abs(e)), $"byte {i}: expected {e}, actual {a}");
        }
    }
}
