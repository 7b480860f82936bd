using ILGPU;

namespace Tessera.Shaders;

/// <summary>The 64 best of many numbers on CUDA and OpenCL: the key of the last of them is found by its bits, 8 at a time from the top.</summary>
static class BestIlgpu
{
    public const int Digits = 256, Found = 2; // values of a digit; numbers that a search leaves: the digit, and how many keys have a larger one

    /// <summary>Larger numbers have larger keys, both zeros one; what cannot be chosen has 0.</summary>
    public static uint Key(float value)
    {
        if (value <= CandidatesOp.Nothing) return 0;
        uint bits = Interop.FloatAsInt(value);
        if (bits == 0x80000000) bits = 0;
        return (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
    }

    public static bool IsFinite(float value) => (Interop.FloatAsInt(value) & 0x7f800000) != 0x7f800000;

    public static float NotANumber => Interop.IntAsFloat(0x7fc00000u);

    /// <summary>Before keys are counted by a digit. Here and below all threads come together.</summary>
    public static void Clear(ArrayView<int> bins)
    {
        for (int i = Group.IdxX; i < Digits; i += Group.DimX) bins[i] = 0;
        Group.Barrier();
    }

    /// <summary>Counts a key by its 8 bits at shift, where those above are what was found.</summary>
    public static void Count(ArrayView<int> bins, uint key, uint found, int shift)
    {
        uint above = shift == 24 ? 0 : 0xffffffff << (shift + 8);
        if (key != 0 && (key & above) == found) Atomic.Add(ref bins[(int)(key >> shift & 255)], 1);
    }

    /// <summary>The digit of the wanted key, from the top, and how many keys have a larger one.</summary>
    public static void Find(ArrayView<int> bins, ArrayView<int> digit, int wanted)
    {
        Group.Barrier();
        if (Group.IdxX == 0)
        {
            int larger = 0, bin = Digits - 1;
            for (; bin > 0 && larger + bins[bin] < wanted; bin--) larger += bins[bin];
            digit[0] = bin;
            digit[1] = larger;
        }
        Group.Barrier();
    }

    /// <summary>The sum over the threads before this one.</summary>
    public static int Before(ArrayView<int> counts, ArrayView<int> before, int own)
    {
        counts[Group.IdxX] = own;
        Group.Barrier();
        if (Group.IdxX == 0)
        {
            int sum = 0;
            for (int i = 0; i < Group.DimX; i++)
            {
                before[i] = sum;
                sum += counts[i];
            }
        }
        Group.Barrier();
        return before[Group.IdxX];
    }
}
