using ILGPU;
using ILGPU.Runtime;

namespace Tessera.Shaders;

/// <summary>What the threads of a group do together on CUDA and OpenCL.</summary>
static class GroupsIlgpu
{
    /// <summary>Of a group, at most.</summary>
    public const int MaxThreads = 256;

    const int Parts = 8; // of the threads, whose sums are added first

    /// <summary>Threads of a group: on a CPU one, since barriers are slow there; with more, answers under PoCL 6 were wrong, it is not known why.</summary>
    public static int Threads(Accelerator on, int gpu) => PanelIlgpu.IsCpu(on) ? 1 : gpu;

    /// <summary>Rows that are real: the bucket's bound, cut to the count where there is one.</summary>
    public static int RealRows(ArrayView<byte> count, int hasCount, int bound) =>
        hasCount == 0 ? bound : IntrinsicMath.Min(bound, count.Cast<int>()[0]);

    /// <summary>Four numbers, 0 for those from <paramref name="left"/> on, which are not read.</summary>
    public static Floats4 Load(ArrayView<float> from, long at, int left)
    {
        if (left >= 4) return from.Cast<Floats4>()[at / 4];
        return new(left > 0 ? from[at] : 0, left > 1 ? from[at + 1] : 0, left > 2 ? from[at + 2] : 0, 0);
    }

    /// <summary>The sum over all threads, which come together: 1, or 8 at least.</summary>
    public static float Sum(ArrayView<float> partial, float own, int thread, int threads)
    {
        if (threads == 1) return own;
        partial[thread] = own;
        Group.Barrier();
        if (thread < Parts)
        {
            for (int i = thread + Parts; i < threads; i += Parts) own += partial[i];
            partial[thread] = own;
        }
        Group.Barrier();
        float sum = 0;
        for (int i = 0; i < Parts; i++) sum += partial[i];
        return sum;
    }
}
