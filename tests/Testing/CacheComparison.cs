using Tessera.Shaders;
using Xunit;

namespace Tessera.Testing;

/// <summary>Compares keys or values of a cache number by number: what was not stored stays poison.</summary>
static class CacheComparison
{
    public static void Check(Operand cache, byte[] expected, byte[] actual)
    {
        if (cache.Type != DType.Q8)
        {
            Numbers(cache.Type, expected, actual, 0, expected.Length);
            return;
        }
        int head = (int)KvBlock.HeadBytes(DType.Q8, cache.Cols), values = KvBlock.Tokens * cache.Cols;
        for (int at = 0; at < expected.Length; at += head)
        {
            for (int i = at; i < at + values; i++) // another rounding may move a value by one step
                Assert.True(Math.Abs((sbyte)expected[i] - (sbyte)actual[i]) <= 1, $"byte {i}: expected {(sbyte)expected[i]}, actual {(sbyte)actual[i]}");
            Numbers(DType.F32, expected, actual, at + values, at + head);
        }
    }

    static void Numbers(DType type, byte[] expected, byte[] actual, int begin, int end)
    {
        for (int i = begin; i < end; i += type.ElementBytes())
        {
            (float e, float a) = type == DType.F32
                ? (BitConverter.ToSingle(expected, i), BitConverter.ToSingle(actual, i))
                : ((float)BitConverter.ToHalf(expected, i), (float)BitConverter.ToHalf(actual, i));
            if (float.IsNaN(e)) Assert.True(float.IsNaN(a), $"byte {i}: expected poison, actual {a}");
            else Assert.True(Math.Abs(e - a) <= (type == DType.F32 ? 1e-5f : 2e-3f) * (1 + Math.Abs(e)), $"byte {i}: expected {e}, actual {a}");
        }
    }
}
