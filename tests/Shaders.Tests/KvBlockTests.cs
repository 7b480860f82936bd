using System.Runtime.InteropServices;
using Tessera.Runtime.Devices.Reference;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>Where keys and values lie, by the words of KvBlock's own documentation and not by its functions.</summary>
public class KvBlockTests
{
    const int Tokens = 16, Dim = 96, KvHeads = 2;

    public static TheoryData<DType> Types => [DType.F32, DType.F16, DType.Q8];

    /// <summary>Keys: [block][kvHead]{[word of dim][token 16]}; values: [block][kvHead]{[token 16][dim]}.</summary>
    [Theory, MemberData(nameof(Types))]
    public void Numbers_lie_as_documented_without_gaps_or_overlaps(DType type)
    {
        int bytes = type.ElementBytes(), perWord = 4 / bytes, plane = Tokens * Dim * bytes;
        HashSet<int> keys = [], values = [];
        for (int token = 0; token < Tokens; token++)
            for (int d = 0; d < Dim; d++)
            {
                Assert.Equal((d / perWord * Tokens + token) * 4 + d % perWord * bytes, KvBlock.KeyOffset(type, token, d));
                Assert.Equal((token * Dim + d) * bytes, KvBlock.ValueOffset(type, Dim, token, d));
                Assert.True(keys.Add(KvBlock.KeyOffset(type, token, d)) && values.Add(KvBlock.ValueOffset(type, Dim, token, d)));
            }
        Assert.Equal((plane - bytes, plane - bytes), (keys.Max(), values.Max()));
        Assert.Equal(plane + (type == DType.Q8 ? Tokens * Dim / 32 * 4 : 0), KvBlock.HeadBytes(type, Dim));
        Assert.Equal(KvBlock.HeadBytes(type, Dim) * (3 * KvHeads + 1), KvBlock.Offset(type, KvHeads, Dim, block: 3, kvHead: 1));
        Assert.Equal(KvBlock.HeadBytes(type, Dim) * 5 * KvHeads, KvBlock.Bytes(type, KvHeads, Dim, blocks: 5));
    }

    /// <summary>A block of keys of one head is a panel of weights: its rows are tokens, its K is the head's dimension.</summary>
    [Theory, MemberData(nameof(Types))]
    public void Keys_are_a_panel_of_weights(DType type)
    {
        for (int token = 0; token < Tokens; token++)
            for (int d = 0; d < Dim; d++) Assert.Equal(Tile.ValueOffset(type, Dim, token, d), KvBlock.KeyOffset(type, token, d));
    }

    /// <summary>What QkRope stores is found where the documentation says; with Q8 times the scales at [dim / 32][token 16] for keys, [token 16][dim / 32] for
    /// values.</summary>
    [Theory, MemberData(nameof(Types))]
    public void What_is_stored_is_found_where_it_is_documented(DType type)
    {
        const int Slot = 2 * Tokens + 5;
        var random = new Random(7);
        float[] ones = [.. Enumerable.Repeat(1f, Dim)], angles = [.. ones[..(Dim / 2)], .. new float[Dim / 2]]; // of zero
        Operand qkv = Fill.Rows(random, DType.F32, 1, 3 * KvHeads * Dim, spread: 2).InOut(0), norm = Fill.Packed<float>(DType.F32, 1, Dim, ones);
        Operand rope = Fill.Packed<float>(DType.F32, 1, Dim, angles), slots = Fill.Ints(Slot);
        Operand keys = Fill.Cache(random, type, KvHeads, Dim, 3, keys: true, slots: []).InOut(0);
        Operand values = Fill.Cache(random, type, KvHeads, Dim, 3, keys: false, slots: []).InOut(0);
        using var device = new ReferenceDevice();
        using var run = new Testing.OpRun(device, qkv, norm, rope, slots, keys, values);
        run.Run((gpu, t) => gpu.QkRope(t(qkv), t(norm), t(norm), t(rope), t(slots), t(keys), t(values), KvHeads, KvHeads, 0, Tensor.None));
        byte[] storedKeys = run.Read(keys), storedValues = run.Read(values);
        float[] x = qkv.Decode(qkv.Bytes);
        for (int head = 0; head < KvHeads; head++)
        {
            var k = x.AsSpan((KvHeads + head) * Dim, Dim).ToArray();
            double rms = Math.Sqrt(k.Average(v => (double)v * v));
            for (int d = 0; d < Dim; d++)
            {
                int at = (int)KvBlock.HeadBytes(type, Dim) * (2 * KvHeads + head), scales = at + Tokens * Dim, token = Slot % Tokens;
                int bytes = type.ElementBytes(), perWord = 4 / bytes, key = at + (d / perWord * Tokens + token) * 4 + d % perWord * bytes;
                Near(k[d] / rms, Number(storedKeys, key, scales + (d / 32 * Tokens + token) * 4));
                Near(x[(2 * KvHeads + head) * Dim + d], Number(storedValues, at + (token * Dim + d) * bytes, scales + (token * (Dim / 32) + d / 32) * 4));
            }
        }

        float Number(byte[] stored, int at, int scale) => type switch
        {
            DType.F32 => MemoryMarshal.Read<float>(stored.AsSpan(at)),
            DType.F16 => (float)MemoryMarshal.Read<Half>(stored.AsSpan(at)),
            _ => (sbyte)stored[at] * MemoryMarshal.Read<float>(stored.AsSpan(scale)),
        };
        void Near(double expected, float actual) => Assert.Equal(expected, actual, type == DType.F32 ? 1e-5 : type == DType.F16 ? 2e-3 : 2e-2);
    }
}
