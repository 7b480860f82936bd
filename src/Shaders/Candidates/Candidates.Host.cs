using System.Numerics;
using System.Runtime.Intrinsics;

namespace Tessera.Shaders;

public static unsafe partial class CandidatesOp
{
    const int Step = 64; // logits that a pass takes at a time, four vectors: what follows a slice's last is Nothing

    /// <summary>A unit is a slice of a row, so that threads share a row.</summary>
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        int slices = Slices(a.Vocabulary);
        end = Math.Min(end, call.Count(Count, a.Rows) * slices);
        float* values = stackalloc float[SliceIds], reaching = stackalloc float[SliceIds];
        short* places = stackalloc short[SliceIds];
        for (int unit = begin; unit < end; unit++)
        {
            int row = unit / slices, first = unit % slices * SliceIds, count = Math.Min(SliceIds, a.Vocabulary - first);
            int length = (count + Step - 1) / Step * Step;
            float* logits = call.At<float>(Logits) + (long)row * Tile.Pad(a.Vocabulary) + first, sums = call.At<float>(Sums) + (long)unit * SumsOfSlice;
            var best = new Span<int>(call.At<int>(Best) + (long)unit * BestOfSlice, BestOfSlice);
            Empty(best);
            new Span<float>(logits, count).CopyTo(new Span<float>(values, count));
            new Span<float>(values + count, length - count).Fill(Nothing);
            if (!AreFinite(values, length))
            {
                new Span<float>(sums, SumsOfSlice).Fill(float.NaN);
                continue;
            }
            var (largest, floor) = Largest(values, length);
            (sums[0], sums[1]) = (sums[2], sums[3]) = (largest, SumExp(values, length, largest));
            bool edited = Apply(call, row, first, new Span<float>(values, count));
            if (edited)
            {
                (largest, floor) = Largest(values, length);
                (sums[2], sums[3]) = (largest, largest > Nothing ? SumExp(values, length, largest) : 0);
            }
            if (largest > Nothing)
            {
                floor = Math.Max(floor, MathF.BitIncrement(Nothing));
                Choose(reaching, places, Reaching(values, length, floor, reaching, places), floor, largest, first, logits, best);
            }
            if (edited) new Span<float>(values, count).CopyTo(new Span<float>(logits, count));
        }
    }

    /// <summary>The row's rules over a slice; false where they change nothing.</summary>
    static bool Apply(Call call, int row, int first, Span<float> slice)
    {
        var a = call.Args<Args>();
        var (set, editCount, masked) = RulesOf(call, row);
        int real = Math.Clamp(a.Real - first, 0, slice.Length);
        slice[real..].Fill(Nothing);
        if (masked) Mask(call.At<int>(Masks) + (long)set * MaskWords(a.Vocabulary) + first / 32, slice);
        if (editCount > 0) Edit(call, set, editCount, first, slice);
        return real < slice.Length || masked || editCount > 0;
    }

    /// <summary>A word of the mask says which of 32 ids are allowed. Behind the slice's last there is room for a vector.</summary>
    static void Mask(int* words, Span<float> slice)
    {
        var bits = Vector512.Create(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15);
        var nothing = Vector512.Create(Nothing);
        fixed (float* values = slice)
            for (int i = 0; i < slice.Length; i += 16)
            {
                int word = words[i / 32] >> (i % 32);
                if ((short)word == -1) continue;
                var barred = Vector512.Equals(Vector512.Create(word) & bits, Vector512<int>.Zero).AsSingle();
                Vector512.ConditionalSelect(barred, nothing, Vector512.Load(values + i)).Store(values + i);
            }
    }

    static bool AreFinite(float* values, int length)
    {
        var largest = Vector512<int>.Zero; // of the magnitudes' bits
        for (int i = 0; i < length; i += 16) largest = Vector512.Max(largest, Vector512.Load((int*)values + i) & Vector512.Create(int.MaxValue));
        return !Vector512.GreaterThanAny(largest, Vector512.Create(0x7f7fffff));
    }

    /// <summary>The largest value, and one that at least 64 of them reach: the least of the largest of 64 parts.</summary>
    static (float Largest, float Floor) Largest(float* values, int length)
    {
        Vector512<float> a = Vector512.Create(Nothing), b = a, c = a, d = a;
        for (int i = 0; i < length; i += Step)
        {
            a = Vector512.Max(a, Vector512.Load(values + i));
            b = Vector512.Max(b, Vector512.Load(values + i + 16));
            c = Vector512.Max(c, Vector512.Load(values + i + 32));
            d = Vector512.Max(d, Vector512.Load(values + i + 48));
        }
        return (Lanes.Max(Vector512.Max(Vector512.Max(a, b), Vector512.Max(c, d))), -Lanes.Max(-Vector512.Min(Vector512.Min(a, b), Vector512.Min(c, d))));
    }

    /// <summary>The sum of e^(value − largest); of Nothing it is 0.</summary>
    static float SumExp(float* values, int length, float largest)
    {
        var shift = Vector512.Create(largest);
        Vector512<float> sum = default;
        for (int i = 0; i < length; i += 16) sum += Lanes.Exp(Vector512.Load(values + i) - shift);
        return Vector512.Sum(sum);
    }

    /// <summary>
    /// The 64 best, in ascending order of ids, among the values that reach the floor. The last of them is looked for by halving the floats between a value that
    /// 64 reach and one that fewer do.
    /// </summary>
    static void Choose(float* values, short* places, int count, float floor, float largest, int first, float* raw, Span<int> best)
    {
        int length = (count + 15) / 16 * 16;
        new Span<float>(values + count, length - count).Fill(Nothing);
        long low = Key(floor), high = Key(largest) + 1L;
        int above = 0, reached = count;
        while (reached > Kept && high - low > 1)
        {
            long middle = low + (high - low) / 2;
            int found = CountFrom(values, length, Value(middle));
            if (found >= Kept) (low, reached) = (middle, found);
            else (high, above) = (middle, found);
        }
        float last = Value(low);
        int ties = reached > Kept ? Kept - above : int.MaxValue, at = 0; // so many of those equal to the last
        for (int i = 0; i < count; i++)
        {
            if (values[i] < last || values[i] == last && ties-- <= 0) continue;
            best[at] = first + places[i];
            best[Kept + at] = BitConverter.SingleToInt32Bits(values[i]);
            best[2 * Kept + at++] = BitConverter.SingleToInt32Bits(raw[places[i]]);
        }
    }

    /// <summary>The values that are not less, in their order, and where they lie.</summary>
    static int Reaching(float* values, int length, float least, float* reaching, short* places)
    {
        var from = Vector512.Create(least);
        int count = 0;
        for (int i = 0; i < length; i += 16)
        {
            ulong hits = Vector512.GreaterThanOrEqual(Vector512.Load(values + i), from).ExtractMostSignificantBits();
            for (; hits != 0; hits &= hits - 1)
            {
                int place = i + BitOperations.TrailingZeroCount(hits);
                (reaching[count], places[count++]) = (values[place], (short)place);
            }
        }
        return count;
    }

    static int CountFrom(float* values, int length, float least)
    {
        var from = Vector512.Create(least);
        int count = 0;
        for (int i = 0; i < length; i += 16)
            count += BitOperations.PopCount(Vector512.GreaterThanOrEqual(Vector512.Load(values + i), from).ExtractMostSignificantBits());
        return count;
    }

    /// <summary>Integers in the order of the floats; both zeros are one.</summary>
    static int Key(float value)
    {
        int bits = BitConverter.SingleToInt32Bits(value);
        return bits >= 0 ? bits : int.MinValue - bits;
    }

    static float Value(long key) => BitConverter.Int32BitsToSingle(key >= 0 ? (int)key : (int)(int.MinValue - key));
}
