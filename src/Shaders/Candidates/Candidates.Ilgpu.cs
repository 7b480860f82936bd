using ILGPU;
using ILGPU.Runtime;
using Tessera.Runtime.Devices.Ilgpu;

namespace Tessera.Shaders;

/// <summary>Edits a slice of logits and finds its 64 best and its sums on CUDA and OpenCL: a group takes a slice.</summary>
static class CandidatesIlgpu
{
    const int SliceIds = CandidatesOp.SliceIds, Kept = CandidatesOp.Kept;
    const int Part = 32; // numbers of a thread that are added up before they are added to the others: one long sum would lose bits
    const float Nothing = CandidatesOp.Nothing;

    public readonly record struct Shape(int Rows, int Vocabulary, int Real, int MaxEdits, int Slices, int HasRules, int HasCount);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<CandidatesOp.Args>();
        var t = call.Tensors;
        int slices = CandidatesOp.Slices(a.Vocabulary);
        var shape = new Shape(a.Rows, a.Vocabulary, a.Real, a.MaxEdits, slices, t[CandidatesOp.Rules].IsNone ? 0 : 1, t[CandidatesOp.Count].IsNone ? 0 : 1);
        var kernel = on.LoadStreamKernel<ArrayView<float>, ArrayView<int>, ArrayView<int>, ArrayView<int>, ArrayView<int>, ArrayView<float>, ArrayView<byte>,
            Shape>(Kernel);
        ArrayView<float> logits = view(t[CandidatesOp.Logits]).Cast<float>(), sums = view(t[CandidatesOp.Sums]).Cast<float>();
        ArrayView<int> rules = view(t[CandidatesOp.Rules]).Cast<int>(), masks = view(t[CandidatesOp.Masks]).Cast<int>(),
            edits = view(t[CandidatesOp.Edits]).Cast<int>(), best = view(t[CandidatesOp.Best]).Cast<int>();
        ArrayView<byte> count = view(t[CandidatesOp.Count]);
        var config = new KernelConfig(new Index3D(slices, a.Rows, 1), new Index3D(GroupsIlgpu.Threads(on, GroupsIlgpu.MaxThreads), 1, 1));
        return () => kernel(config, logits, rules, masks, edits, best, sums, count, shape);
    }

    static void Kernel(ArrayView<float> logits, ArrayView<int> rules, ArrayView<int> masks, ArrayView<int> edits, ArrayView<int> best, ArrayView<float> sums,
        ArrayView<byte> count, Shape a)
    {
        var raw = SharedMemory.Allocate<float>(SliceIds);
        var values = SharedMemory.Allocate<float>(SliceIds);     // behind mask and edits
        var largest = SharedMemory.Allocate<float>(2 * GroupsIlgpu.MaxThreads);
        var partial = SharedMemory.Allocate<float>(2 * GroupsIlgpu.MaxThreads);
        var counts = SharedMemory.Allocate<int>(GroupsIlgpu.MaxThreads);
        var before = SharedMemory.Allocate<int>(GroupsIlgpu.MaxThreads);
        var bins = SharedMemory.Allocate<int>(BestIlgpu.Digits);
        var digit = SharedMemory.Allocate<int>(BestIlgpu.Found);
        int slice = Grid.IdxX, row = Grid.IdxY, thread = Group.IdxX, threads = Group.DimX;
        if (row >= GroupsIlgpu.RealRows(count, a.HasCount, a.Rows)) return;
        int first = slice * SliceIds, real = IntrinsicMath.Min(SliceIds, a.Vocabulary - first), unit = row * a.Slices + slice;
        long at = (long)row * ((a.Vocabulary + 31) / 32 * 32) + first;
        int bestAt = unit * CandidatesOp.BestOfSlice, sumsAt = unit * CandidatesOp.SumsOfSlice;

        // mask
        int set = a.HasRules != 0 ? rules[CandidatesOp.RulesOfRow * row] : -1, edited = 0, masked = 0;
        if (set >= 0)
        {
            edited = IntrinsicMath.Min(rules[CandidatesOp.RulesOfRow * row + 1], a.MaxEdits);
            masked = rules[CandidatesOp.RulesOfRow * row + 2];
        }
        int broken = 0;
        for (int i = thread; i < real; i += threads)
        {
            float value = logits[at + i];
            int id = first + i;
            if (!BestIlgpu.IsFinite(value)) broken = 1;
            bool allowed = id < a.Real;
            if (masked != 0 && (masks[(long)set * ((a.Vocabulary + 31) / 32) + id / 32] >> (id % 32) & 1) == 0) allowed = false;
            raw[i] = value;
            values[i] = allowed ? value : Nothing;
        }
        if (Any(counts, broken))
        {
            for (int i = thread; i < CandidatesOp.SumsOfSlice; i += threads) sums[sumsAt + i] = BestIlgpu.NotANumber;
            Empty(best, bestAt, 0);
            return;
        }

        // edits, whose ids are distinct
        for (int i = thread; i < edited; i += threads)
        {
            long edit = ((long)set * a.MaxEdits + i) * CandidatesOp.EditNumbers;
            int id = edits[edit] - first;
            if (id < 0 || id >= real) continue;
            float l = values[id], subtract = Interop.IntAsFloat((uint)edits[edit + 1]), divide = Interop.IntAsFloat((uint)edits[edit + 2]);
            if (l > Nothing) values[id] = IntrinsicMath.Min(IntrinsicMath.Max((l > 0 ? l / divide : l * divide) - subtract, Nothing), -Nothing);
        }
        Group.Barrier();

        // maxima and sums, before edits and after
        float rawLargest = Nothing, valueLargest = Nothing;
        for (int i = thread; i < real; i += threads)
        {
            logits[at + i] = values[i];
            rawLargest = IntrinsicMath.Max(rawLargest, raw[i]);
            valueLargest = IntrinsicMath.Max(valueLargest, values[i]);
        }
        largest[2 * thread] = rawLargest;
        largest[2 * thread + 1] = valueLargest;
        Group.Barrier();
        for (int i = 0; i < threads; i++)
        {
            rawLargest = IntrinsicMath.Max(rawLargest, largest[2 * i]);
            valueLargest = IntrinsicMath.Max(valueLargest, largest[2 * i + 1]);
        }
        float rawSum = 0, valueSum = 0;
        int choosable = 0;
        for (int part = thread; part < real; part += threads * Part)
        {
            float rawPart = 0, valuePart = 0;
            for (int i = part; i < IntrinsicMath.Min(real, part + threads * Part); i += threads)
            {
                rawPart += Bits.Exp(raw[i] - rawLargest);
                if (values[i] <= Nothing) continue;
                valuePart += Bits.Exp(values[i] - valueLargest);
                choosable++;
            }
            rawSum += rawPart;
            valueSum += valuePart;
        }
        partial[2 * thread] = rawSum;
        partial[2 * thread + 1] = valueSum;
        counts[thread] = choosable;
        Group.Barrier();
        int all = 0;
        for (int i = 0; i < threads; i++) all += counts[i];
        if (thread == 0)
        {
            for (int i = 1; i < threads; i++)
            {
                rawSum += partial[2 * i];
                valueSum += partial[2 * i + 1];
            }
            sums[sumsAt] = rawLargest;
            sums[sumsAt + 1] = rawSum;
            sums[sumsAt + 2] = valueLargest;
            sums[sumsAt + 3] = valueSum;
        }

        int kept = IntrinsicMath.Min(Kept, all), wanted = kept;
        uint last = 0;
        for (int shift = 24; shift >= 0; shift -= 8)
        {
            BestIlgpu.Clear(bins);
            for (int i = thread; i < real; i += threads) BestIlgpu.Count(bins, BestIlgpu.Key(values[i]), last, shift);
            BestIlgpu.Find(bins, digit, wanted);
            last |= (uint)digit[0] << shift;
            wanted -= digit[1];
        }

        // in ascending order of ids: those above the last key, and of its equals the first that are wanted
        int own = SliceIds / threads, from = IntrinsicMath.Min(real, thread * own), to = IntrinsicMath.Min(real, from + own), larger = 0, equals = 0;
        for (int i = from; i < to; i++)
        {
            uint key = BestIlgpu.Key(values[i]);
            if (key == 0) continue;
            if (key > last) larger++;
            else if (key == last) equals++;
        }
        int earlier = BestIlgpu.Before(counts, before, larger << 16 | equals);
        larger = earlier >> 16;
        equals = earlier & 0xffff;
        for (int i = from; i < to; i++)
        {
            uint key = BestIlgpu.Key(values[i]);
            if (key == 0 || key < last || (key == last && equals >= wanted)) continue;
            int place = bestAt + larger + IntrinsicMath.Min(equals, wanted);
            if (key == last) equals++;
            else larger++;
            best[place] = first + i;
            best[place + Kept] = (int)Interop.FloatAsInt(values[i]);
            best[place + 2 * Kept] = (int)Interop.FloatAsInt(raw[i]);
        }
        Empty(best, bestAt, kept);
    }

    /// <summary>Whether any thread has found something.</summary>
    static bool Any(ArrayView<int> counts, int own)
    {
        counts[Group.IdxX] = own;
        Group.Barrier();
        int any = 0;
        for (int i = 0; i < Group.DimX; i++) any |= counts[i];
        Group.Barrier();
        return any != 0;
    }

    /// <summary>The places from one on have no candidate.</summary>
    static void Empty(ArrayView<int> best, int bestAt, int from)
    {
        for (int i = from + Group.IdxX; i < Kept; i += Group.DimX)
        {
            best[bestAt + i] = -1;
            best[bestAt + Kept + i] = (int)Interop.FloatAsInt(Nothing);
            best[bestAt + 2 * Kept + i] = (int)Interop.FloatAsInt(Nothing);
        }
    }
}
