using ILGPU;

namespace Tessera.Shaders;

/// <summary>Stores activations four columns a thread, as F32 or quantised in scale blocks: 8 neighbouring threads. In the order of store.glsl.</summary>
static class StoreIlgpu
{
    const int BlockThreads = Tile.K / 4;

    /// <summary>What the threads of a scale block share: two numbers each. A thread that is alone keeps there the values of a block.</summary>
    public const int Shared = 2 * GroupsIlgpu.MaxThreads;

    /// <summary>Bytes of a row.</summary>
    public static int Stride(bool a8, int cols) => a8 ? (Tile.Pad(cols) + Tile.Pad(cols) / 4 + 63) / 64 * 64 : Tile.Pad(cols) * 4;

    /// <summary>All threads of the group come together, those with nothing to store with word &lt; 0.</summary>
    /// <param name="row">Of a token, in bytes.</param>
    /// <param name="word">4 columns each.</param>
    public static void Word(ArrayView<byte> y, bool a8, long row, int cols, int word, Floats4 v, ArrayView<int> shared, int thread)
    {
        if (!a8)
        {
            if (word >= 0) y.Cast<Floats4>()[row / 16 + word] = v;
            return;
        }
        if (Group.DimX == 1)
        {
            Alone(y, row, cols, word, v, shared);
            return;
        }
        int first = thread / BlockThreads * BlockThreads, sums = (int)shared.Length / 2;
        Group.Barrier(); // what was read before may be of the last word
        shared[thread] = Largest(v);
        Group.Barrier();
        int largest = 0;
        for (int i = 0; i < BlockThreads; i++) largest = IntrinsicMath.Max(largest, shared[first + i]);
        float scale = Scale(largest);
        var q = Quantised(v, scale);
        shared[sums + thread] = q.X + q.Y + q.Z + q.W;
        Group.Barrier();
        int sum = 0; // of every thread: behind the return, PoCL has the first one add up what the others have not written
        for (int i = 0; i < BlockThreads; i++) sum += shared[sums + first + i];
        if (word < 0) return;
        y.Cast<int>()[row / 4 + word] = Packed(q);
        if (thread == first) StoreScale(y, row, cols, word, scale, sum);
    }

    /// <summary>One thread makes the words of a block one after the other, and stores them with the last.</summary>
    static void Alone(ArrayView<byte> y, long row, int cols, int word, Floats4 v, ArrayView<int> shared)
    {
        if (word < 0) return;
        var values = shared.Cast<Floats4>();
        values[word % BlockThreads] = v;
        if (word % BlockThreads != BlockThreads - 1) return;
        int largest = 0, sum = 0;
        for (int i = 0; i < BlockThreads; i++) largest = IntrinsicMath.Max(largest, Largest(values[i]));
        float scale = Scale(largest);
        for (int i = 0; i < BlockThreads; i++)
        {
            var q = Quantised(values[i], scale);
            sum += q.X + q.Y + q.Z + q.W;
            y.Cast<int>()[row / 4 + word - (BlockThreads - 1) + i] = Packed(q);
        }
        StoreScale(y, row, cols, word, scale, sum);
    }

    static void StoreScale(ArrayView<byte> y, long row, int cols, int word, float scale, int sum)
    {
        int padded = Tile.Pad(cols);
        long at = (row + padded) / 4 + word / BlockThreads;
        y.Cast<float>()[at] = scale;
        y.Cast<int>()[at + padded / Tile.K] = sum;
    }

    static int Largest(Floats4 v) =>
        IntrinsicMath.Max(IntrinsicMath.Max(Magnitude(v.X), Magnitude(v.Y)), IntrinsicMath.Max(Magnitude(v.Z), Magnitude(v.W)));

    /// <summary>A magnitude's bits, of which the largest are found as integers: max of floats may lose what is not a number.</summary>
    public static int Magnitude(float v) => (int)(Interop.FloatAsInt(v) & 0x7fffffff);

    public static float Scale(int largest) => Interop.IntAsFloat((uint)largest) < Elements.SmallestScaled ? 0 : Interop.IntAsFloat((uint)largest) / 127;

    public static Ints4 Quantised(Floats4 v, float scale) => new(Quantised(v.X, scale), Quantised(v.Y, scale), Quantised(v.Z, scale), Quantised(v.W, scale));

    /// <summary>Rounded to even.</summary>
    static int Quantised(float v, float scale)
    {
        if (scale == 0) return 0;
        float q = v / scale;
        int whole = (int)q;
        float rest = q - whole;
        bool odd = (whole & 1) != 0;
        if (rest > 0.5f || rest == 0.5f && odd) return whole + 1;
        return rest < -0.5f || rest == -0.5f && odd ? whole - 1 : whole;
    }

    public static int Packed(Ints4 q) => (q.X & 255) | (q.Y & 255) << 8 | (q.Z & 255) << 16 | q.W << 24;
}
