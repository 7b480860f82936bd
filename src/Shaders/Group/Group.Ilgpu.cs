using ILGPU;
using ILGPU.Runtime;

namespace Tessera.Shaders;

/// <summary>Sorts pairs by expert on CUDA and OpenCL, a counting sort without atomics in one group, as Group.comp explains.</summary>
static class GroupIlgpu
{
    const int Counts = 4096, MaxExperts = RouterOp.MaxExperts;

    public readonly record struct Shape(int Tokens, int PerToken, int Experts, int TileRows, int HasCount);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<GroupOp.Args>();
        var t = call.Tensors;
        var shape = new Shape(a.Tokens, a.PerToken, a.Experts, a.TileRows, t[GroupOp.Count].IsNone ? 0 : 1);
        var kernel = on.LoadStreamKernel<ArrayView<int>, ArrayView<int>, ArrayView<int>, ArrayView<byte>, Shape>(Kernel);
        ArrayView<int> chosen = view(t[GroupOp.Chosen]).Cast<int>(), order = view(t[GroupOp.Order]).Cast<int>(), groups = view(t[GroupOp.Groups]).Cast<int>();
        ArrayView<byte> count = view(t[GroupOp.Count]);
        var config = new KernelConfig(1, GroupsIlgpu.Threads(on, GroupsIlgpu.MaxThreads));
        return () => kernel(config, chosen, order, groups, count, shape);
    }

    static void Kernel(ArrayView<int> chosen, ArrayView<int> order, ArrayView<int> groups, ArrayView<byte> count, Shape a)
    {
        var counts = SharedMemory.Allocate<int>(Counts);             // of each part's pairs of an expert
        var places = SharedMemory.Allocate<int>(Counts);             // the next of each; not in place, since ILGPU moves a load behind a store that follows it
        var ends = SharedMemory.Allocate<int>(2 * MaxExperts);       // of the experts' lists; a round of sums reads one half and writes the other
        var tileEnds = SharedMemory.Allocate<int>(2 * MaxExperts);   // the same of their tiles
        int thread = ILGPU.Group.IdxX, threads = ILGPU.Group.DimX, experts = a.Experts;
        int pairs = GroupsIlgpu.RealRows(count, a.HasCount, a.Tokens) * a.PerToken;
        int parts = IntrinsicMath.Max(1, IntrinsicMath.Min(IntrinsicMath.Min(Counts / experts, pairs), threads)), size = (pairs + parts - 1) / parts;
        int from = IntrinsicMath.Min(pairs, thread * size), to = thread < parts ? IntrinsicMath.Min(pairs, from + size) : from;
        for (int i = thread; i < parts * experts; i += threads) counts[i] = 0;
        ILGPU.Group.Barrier();
        for (int p = from; p < to; p++) counts[thread * experts + chosen[p]]++;
        ILGPU.Group.Barrier();
        for (int e = thread; e < experts; e += threads)
        {
            int all = 0;
            for (int part = 0; part < parts; part++)
            {
                places[part * experts + e] = all;
                all += counts[part * experts + e];
            }
            ends[e] = all;
            tileEnds[e] = (all + a.TileRows - 1) / a.TileRows;
        }
        ILGPU.Group.Barrier();
        // sums of all experts up to each: those of twice as many in every round
        int now = 0;
        for (int width = 1; width < experts; width *= 2)
        {
            int next = MaxExperts - now;
            for (int e = thread; e < experts; e += threads)
            {
                ends[next + e] = ends[now + e] + (e >= width ? ends[now + e - width] : 0);
                tileEnds[next + e] = tileEnds[now + e] + (e >= width ? tileEnds[now + e - width] : 0);
            }
            ILGPU.Group.Barrier();
            now = next;
        }
        for (int e = thread; e < experts; e += threads)
        {
            int begin = e > 0 ? ends[now + e - 1] : 0, tile = e > 0 ? tileEnds[now + e - 1] : 0, end = ends[now + e];
            groups[e] = begin;
            for (int place = begin; place < end; place += a.TileRows)
            {
                int at = experts + 2 + 3 * tile++;
                groups[at] = e;
                groups[at + 1] = place;
                groups[at + 2] = IntrinsicMath.Min(a.TileRows, end - place);
            }
            for (int part = 0; part < parts; part++) places[part * experts + e] += begin;
        }
        if (thread == 0)
        {
            groups[experts] = ends[now + experts - 1];
            groups[experts + 1] = tileEnds[now + experts - 1];
        }
        ILGPU.Group.Barrier();
        for (int p = from; p < to; p++) order[places[thread * experts + chosen[p]]++] = p;
    }
}
