using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;

namespace Tessera.Shaders;

/// <summary>Norms a row and chooses its experts on CUDA and OpenCL: first the logits, 4 experts a group, then the choice, a token a group.</summary>
static class RouterIlgpu
{
    const int Threads = 128, GroupExperts = 4;

    public readonly record struct Shape(int Dim, int Experts, int PerToken, int Renormalise, float Eps, int A8, int HasCount);

    public static Action Bind(Accelerator on, Call call, Func<Tensor, ArrayView<byte>> view)
    {
        var a = call.Args<RouterOp.Args>();
        var t = call.Tensors;
        var shape = new Shape(a.Dim, a.Experts, a.PerToken, a.Renormalise, a.Eps, t[RouterOp.Y].Type == DType.A8 ? 1 : 0, t[RouterOp.Count].IsNone ? 0 : 1);
        var logitsKernel = on.LoadStreamKernel<ArrayView<float>, ArrayView<float>, ArrayView<Floats4>, ArrayView<byte>, ArrayView<float>, ArrayView<byte>,
            Shape>(LogitsOf);
        var choose = on.LoadStreamKernel<ArrayView<float>, ArrayView<int>, ArrayView<float>, ArrayView<byte>, Shape>(Choose);
        ArrayView<float> x = view(t[RouterOp.X]).Cast<float>(), norm = view(t[RouterOp.Norm]).Cast<float>(), logits = view(t[RouterOp.Logits]).Cast<float>(),
            shares = view(t[RouterOp.Shares]).Cast<float>();
        var w = view(t[RouterOp.W]).Cast<Floats4>();
        ArrayView<byte> y = view(t[RouterOp.Y]), count = view(t[RouterOp.Count]);
        var chosen = view(t[RouterOp.Chosen]).Cast<int>();
        int threads = GroupsIlgpu.Threads(on, Threads);
        var config = new KernelConfig(new Index3D((a.Experts + GroupExperts - 1) / GroupExperts, a.Tokens, 1), new Index3D(threads, 1, 1));
        var behind = new KernelConfig(a.Tokens, threads);
        return () =>
        {
            logitsKernel(config, x, norm, w, y, logits, count, shape);
            choose(behind, logits, chosen, shares, count, shape);
        };
    }

    static void LogitsOf(ArrayView<float> x, ArrayView<float> norm, ArrayView<Floats4> w, ArrayView<byte> y, ArrayView<float> logits, ArrayView<byte> count,
        Shape a)
    {
        const int Numbers = 1 + GroupExperts; // of a thread: its squares, and its part of each logit
        var partial = SharedMemory.Allocate<float>(Numbers * Threads);
        var shared = SharedMemory.Allocate<int>(StoreIlgpu.Shared);
        int first = Grid.IdxX * GroupExperts, token = Grid.IdxY, thread = Group.IdxX, threads = Group.DimX, padded = Tile.Pad(a.Dim);
        int parts = IntrinsicMath.Min(8, threads); // of the threads, whose sums are added first
        if (token >= GroupsIlgpu.RealRows(count, a.HasCount, token + 1)) return;
        // 4 rows of a panel lie together in each column; the norm's factor is that of all columns
        long from = (long)token * padded, panel = ((long)(first / Tile.Rows) * padded * Tile.Rows + first % Tile.Rows) / 4;
        Floats4 sums = default;
        float squares = 0;
        for (int c = thread; c < a.Dim; c += threads)
        {
            float v = x[from + c];
            squares += v * v;
            sums = w[panel + c * (Tile.Rows / 4)] * (v * norm[c]) + sums;
        }
        partial[thread] = squares;
        for (int e = 0; e < GroupExperts; e++) partial[(1 + e) * Threads + thread] = sums.At(e);
        Group.Barrier();
        if (thread < parts)
            for (int n = 0; n < Numbers; n++)
                for (int i = thread + parts; i < threads; i += parts) partial[n * Threads + thread] += partial[n * Threads + i];
        Group.Barrier();
        squares = 0;
        for (int i = 0; i < parts; i++) squares += partial[i];
        float factor = 1 / XMath.Sqrt(squares / a.Dim + a.Eps);
        for (int e = thread; e < IntrinsicMath.Min(GroupExperts, a.Experts - first); e += threads)
        {
            float sum = 0;
            for (int i = 0; i < parts; i++) sum += partial[(1 + e) * Threads + i];
            logits[(long)token * a.Experts + first + e] = sum * factor;
        }
        if (first > 0) return; // the row itself once
        long row = (long)token * StoreIlgpu.Stride(a.A8 != 0, a.Dim);
        int words = padded / 4;
        for (int begin = 0; begin < words; begin += threads)
        {
            int word = begin + thread;
            var v = GroupsIlgpu.Load(x, from + word * 4, a.Dim - word * 4) * factor * GroupsIlgpu.Load(norm, word * 4, a.Dim - word * 4);
            StoreIlgpu.Word(y, a.A8 != 0, row, a.Dim, word < words ? word : -1, v, shared, thread);
        }
    }

    static void Choose(ArrayView<float> from, ArrayView<int> chosen, ArrayView<float> shares, ArrayView<byte> count, Shape a)
    {
        var logits = SharedMemory.Allocate<float>(RouterOp.MaxExperts);
        var keys = SharedMemory.Allocate<uint>(RouterOp.MaxExperts); // in the order of the logits, whatever they are: each expert then has a rank of its own
        var best = SharedMemory.Allocate<int>(RouterOp.MaxExperts);  // by rank
        var partial = SharedMemory.Allocate<float>(Threads);
        int token = Grid.IdxX, thread = Group.IdxX, threads = Group.DimX;
        if (token >= GroupsIlgpu.RealRows(count, a.HasCount, token + 1)) return;
        for (int e = thread; e < a.Experts; e += threads)
        {
            float l = from[(long)token * a.Experts + e];
            uint bits = Interop.FloatAsInt(l);
            logits[e] = l;
            keys[e] = bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
        }
        Group.Barrier();
        for (int e = thread; e < a.Experts; e += threads)
        {
            uint key = keys[e];
            int rank = 0; // of equals the lowest id comes first
            for (int other = 0; other < a.Experts; other++) rank += keys[other] > key || (keys[other] == key && other < e) ? 1 : 0;
            best[rank] = e;
        }
        Group.Barrier();
        float largest = logits[best[0]], sum = 0;
        for (int e = thread; e < a.Experts; e += threads) sum += XMath.Exp(logits[e] - largest);
        float divisor = GroupsIlgpu.Sum(partial, sum, thread, threads);
        if (a.Renormalise != 0)
        {
            divisor = 0;
            for (int i = 0; i < a.PerToken; i++) divisor += XMath.Exp(logits[best[i]] - largest);
        }
        for (int i = thread; i < a.PerToken; i += threads)
        {
            chosen[token * a.PerToken + i] = best[i];
            shares[token * a.PerToken + i] = XMath.Exp(logits[best[i]] - largest) / divisor;
        }
    }
}
