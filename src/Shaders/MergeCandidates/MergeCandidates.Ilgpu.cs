using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;
using Tessera.Runtime.Devices.Ilgpu;

namespace Tessera.Shaders;

/// <summary>Makes of the slices' candidates those of a row on CUDA and OpenCL: a group takes a row.</summary>
static class MergeCandidatesIlgpu
{
    const int Kept = CandidatesOp.Kept, BestOfSlice = CandidatesOp.BestOfSlice, SumsOfSlice = CandidatesOp.SumsOfSlice;
    const float Nothing = CandidatesOp.Nothing;

    public readonly record struct Shape(int Rows, int Slices, int HasCount);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<MergeCandidatesOp.Args>();
        var t = call.Tensors;
        var shape = new Shape(a.Rows, a.Slices, t[MergeCandidatesOp.Count].IsNone ? 0 : 1);
        var kernel = on.LoadStreamKernel<ArrayView<int>, ArrayView<float>, ArrayView<int>, ArrayView<float>, ArrayView<float>, ArrayView<byte>, Shape>(Kernel);
        ArrayView<int> of = view(t[MergeCandidatesOp.BestOfSlices]).Cast<int>(), best = view(t[MergeCandidatesOp.Best]).Cast<int>();
        ArrayView<float> sums = view(t[MergeCandidatesOp.Sums]).Cast<float>(), raw = view(t[MergeCandidatesOp.Raw]).Cast<float>(),
            stats = view(t[MergeCandidatesOp.Stats]).Cast<float>();
        ArrayView<byte> count = view(t[MergeCandidatesOp.Count]);
        var config = new KernelConfig(a.Rows, GroupsIlgpu.Threads(on, GroupsIlgpu.MaxThreads));
        return () => kernel(config, of, sums, best, raw, stats, count, shape);
    }

    static void Kernel(ArrayView<int> of, ArrayView<float> sums, ArrayView<int> best, ArrayView<float> raw, ArrayView<float> stats, ArrayView<byte> count,
        Shape a)
    {
        var counts = SharedMemory.Allocate<int>(GroupsIlgpu.MaxThreads);
        var before = SharedMemory.Allocate<int>(GroupsIlgpu.MaxThreads);
        var bins = SharedMemory.Allocate<int>(BestIlgpu.Digits);
        var digit = SharedMemory.Allocate<int>(BestIlgpu.Found);
        var chosenKeys = SharedMemory.Allocate<uint>(Kept);
        var chosen = SharedMemory.Allocate<int>(Kept);           // where its id lies
        int row = Grid.IdxX, thread = Group.IdxX, threads = Group.DimX;
        if (row >= GroupsIlgpu.RealRows(count, a.HasCount, a.Rows)) return;
        int ofRow = row * a.Slices * BestOfSlice, sumsOfRow = row * a.Slices * SumsOfSlice, all = a.Slices * Kept;

        int broken = 0, choosable = 0;
        for (int i = thread; i < a.Slices; i += threads) if (!BestIlgpu.IsFinite(sums[sumsOfRow + i * SumsOfSlice])) broken = 1;
        for (int i = thread; i < all; i += threads) if (Key(of, ofRow, i) != 0) choosable++;
        counts[thread] = broken << 24 | choosable;
        Group.Barrier();
        int together = 0;
        broken = 0;
        for (int i = 0; i < threads; i++)
        {
            broken |= counts[i] >> 24;
            together += counts[i] & 0xffffff;
        }
        Group.Barrier();
        int kept = broken != 0 ? 0 : IntrinsicMath.Min(Kept, together), wanted = kept;
        for (int i = kept + thread; i < Kept; i += threads)
        {
            best[(row * Kept + i) * 2] = -1;
            best[(row * Kept + i) * 2 + 1] = (int)Interop.FloatAsInt(Nothing);
            raw[row * Kept + i] = Nothing;
        }
        if (broken != 0)
        {
            for (int i = thread; i < MergeCandidatesOp.StatsOfRow; i += threads) stats[row * MergeCandidatesOp.StatsOfRow + i] = BestIlgpu.NotANumber;
            return;
        }
        // before edits, and after; slices in ascending order
        for (int i = thread; i < 2; i += threads)
        {
            float largest = Nothing, sum = 0;
            for (int s = 0; s < a.Slices; s++) largest = IntrinsicMath.Max(largest, sums[sumsOfRow + s * SumsOfSlice + 2 * i]);
            for (int s = 0; s < a.Slices; s++)
            {
                float part = sums[sumsOfRow + s * SumsOfSlice + 2 * i + 1];
                if (part > 0) sum += part * Bits.Exp(sums[sumsOfRow + s * SumsOfSlice + 2 * i] - largest);
            }
            stats[row * MergeCandidatesOp.StatsOfRow + 2 * i] = largest;
            stats[row * MergeCandidatesOp.StatsOfRow + 2 * i + 1] = sum > 0 ? largest + XMath.Log(sum) : Nothing;
        }

        uint last = 0;
        for (int shift = 24; shift >= 0; shift -= 8)
        {
            BestIlgpu.Clear(bins);
            for (int i = thread; i < all; i += threads) BestIlgpu.Count(bins, Key(of, ofRow, i), last, shift);
            BestIlgpu.Find(bins, digit, wanted);
            last |= (uint)digit[0] << shift;
            wanted -= digit[1];
        }

        // slices and the candidates of each come in ascending order of ids: of the last key's equals the first are taken
        int share = (all + threads - 1) / threads, from = IntrinsicMath.Min(all, thread * share), to = IntrinsicMath.Min(all, from + share);
        int larger = 0, equals = 0;
        for (int i = from; i < to; i++)
        {
            uint key = Key(of, ofRow, i);
            if (key == 0) continue;
            if (key > last) larger++;
            else if (key == last) equals++;
        }
        int earlier = BestIlgpu.Before(counts, before, larger << 16 | equals);
        larger = earlier >> 16;
        equals = earlier & 0xffff;
        for (int i = from; i < to; i++)
        {
            uint key = Key(of, ofRow, i);
            if (key == 0 || key < last || (key == last && equals >= wanted)) continue;
            int at = larger + IntrinsicMath.Min(equals, wanted);
            if (key == last) equals++;
            else larger++;
            chosenKeys[at] = key;
            chosen[at] = ofRow + Place(i);
        }
        Group.Barrier();
        // they lie in ascending order of ids, so of two equals the first is the better
        for (int i = thread; i < kept; i += threads)
        {
            int rank = row * Kept;
            for (int j = 0; j < kept; j++)
                if (chosenKeys[j] > chosenKeys[i] || (chosenKeys[j] == chosenKeys[i] && j < i)) rank++;
            best[2 * rank] = of[chosen[i]];
            best[2 * rank + 1] = of[chosen[i] + Kept];
            raw[rank] = Interop.IntAsFloat((uint)of[chosen[i] + 2 * Kept]);
        }
    }

    /// <summary>Where the id of a candidate lies; its logit and what that was before it was edited lie 64 and 128 behind.</summary>
    static int Place(int candidate) => candidate / Kept * BestOfSlice + candidate % Kept;

    static uint Key(ArrayView<int> of, int ofRow, int candidate) => BestIlgpu.Key(Interop.IntAsFloat((uint)of[ofRow + Place(candidate) + Kept]));
}
