using ILGPU;

namespace Tessera.Shaders;

/// <summary>Stores activations four columns a thread, as F32 or quantised in scale blocks: 8 neighbouring threads. In the order of store.glsl.</summary>
static class StoreIlgpu
{
    const int BlockThreads = Tile.K / 4;

    /// <summary>All threads of the group come here together, those with nothing to store with word below 0. row: of a token, in bytes; word: 4 columns each;
    /// shared: two numbers for each thread.</summary>
    public static void Word(ArrayView<byte> y, bool a8, long row, int cols, int word, Floats4 v, ArrayView<int> shared, int thread)
    {
        if (!a8)
        {
            if (word >= 0) y.Cast<Floats4>()[row / 16 + word] = v;
            return;
        }
        int first = thread / BlockThreads * BlockThreads, sums = (int)shared.Length / 2;
        ILGPU.Group.Barrier(); // what was read before may be of the last word
        shared[thread] = Max(Max(Magnitude(v.X), Magnitude(v.Y)), Max(Magnitude(v.Z), Magnitude(v.W)));
        ILGPU.Group.Barrier();
        int largest = 0;
        for (int i = 0; i < BlockThreads; i++) largest = Max(largest, shared[first + i]);
        float scale = Interop.IntAsFloat((uint)largest) < Elements.SmallestScaled ? 0 : Interop.IntAsFloat((uint)largest) / 127;
        int x = Quantised(v.X, scale), z = Quantised(v.Y, scale), u = Quantised(v.Z, scale), w = Quantised(v.W, scale);
        shared[sums + thread] = x + z + u + w;
        ILGPU.Group.Barrier();
        if (word < 0) return;
        var words = y.Cast<int>();
        words[row / 4 + word] = x & 255 | (z & 255) << 8 | (u & 255) << 16 | w << 24;
        if (thread != first) return;
        int sum = 0, tiles = (cols + Tile.K - 1) / Tile.K;
        for (int i = 0; i < BlockThreads; i++) sum += shared[sums + thread + i];
        long at = row / 4 + tiles * BlockThreads + word / BlockThreads;
        words[at] = (int)Interop.FloatAsInt(scale);
        words[at + tiles] = sum;
    }

    /// <summary>The bits, of which the largest are found as integers: a maximum of floats may lose what is not a number.</summary>
    static int Magnitude(float v) => (int)(Interop.FloatAsInt(v) & 0x7fffffff);

    static int Max(int a, int b) => a > b ? a : b;

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
}
