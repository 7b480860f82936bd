using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Shaders;

public static unsafe partial class AttentionOp
{
    const int MaxRows = 64;

    /// <summary>Rows that are computed together: as many as leave their sums in registers.</summary>
    static int Together => Avx512F.IsSupported ? 4 : 2;

    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        int tokens = call.Count(Count, a.Tokens);
        if (a.Splits == 0)
        {
            for (int unit = begin; unit < end; unit++) TileOf(call, unit / a.KvHeads, unit % a.KvHeads, 0, int.MaxValue);
            return;
        }
        // Positions tell how many splits there really are: units are equal shares of these, KV heads beside each other as they lie.
        long all = 0, at = 0;
        for (int tile = 0; tile < Tiles(tokens); tile++) all += Items(tile);
        long first = all * begin / call.Units, last = all * end / call.Units;
        for (int tile = 0; tile < Tiles(tokens); at += Items(tile++))
            for (long item = Math.Max(first - at, 0); item < Math.Min(last - at, Items(tile)); item++)
                TileOf(call, tile, (int)item % a.KvHeads, (int)item / a.KvHeads, (int)item / a.KvHeads + 1);

        long Items(int tile)
        {
            int longest = 0;
            for (int t = tile * TileTokens; t < Math.Min(tokens, (tile + 1) * TileTokens); t++) longest = Math.Max(longest, call.At<int>(Positions)[t]);
            return (longest / SplitTokens + 1L) * a.KvHeads;
        }
    }

    /// <summary>The splits [first, end) of a tile of tokens.</summary>
    static void TileOf(Call call, int tile, int kvHead, int firstSplit, int endSplit)
    {
        var a = call.Args<Args>();
        int tokens = call.Count(Count, a.Tokens), group = a.Heads / a.KvHeads, together = Math.Max(1, Math.Min(TileTokens, MaxRows / group));
        int* sequences = call.At<int>(Sequences);
        DType type = call.Tensors[Keys].Type;
        for (int first = tile * TileTokens, last = Math.Min(first + TileTokens, tokens); first < last; )
        {
            int run = 1; // tokens of one sequence
            while (run < together && first + run < last && sequences[first + run] == sequences[first]) run++;
            for (int head = 0; head < group; head += MaxRows)
            {
                int heads = Math.Min(group - head, MaxRows);
                if (type == DType.F16) TileRows<HalfKv>(call, first, run, kvHead, head, heads, firstSplit, endSplit);
                else if (type == DType.Q8) TileRows<ByteKv>(call, first, run, kvHead, head, heads, firstSplit, endSplit);
                else TileRows<FloatKv>(call, first, run, kvHead, head, heads, firstSplit, endSplit);
            }
            first += run;
        }
    }

    /// <summary>A tile of rows: (token, head) for <paramref name="tokens"/> tokens and <paramref name="heads"/> heads of one KV head.</summary>
    [SkipLocalsInit]
    static void TileRows<TKv>(Call call, int token, int tokens, int kvHead, int firstHead, int heads, int firstSplit, int endSplit) where TKv : struct, IKv
    {
        var a = call.Args<Args>();
        int rows = tokens * heads, dim = a.HeadDim, head0 = kvHead * (a.Heads / a.KvHeads) + firstHead;
        float* q = stackalloc float[rows * dim];               // (rows, dim), scaled
        float* sum = stackalloc float[rows * dim];             // (rows, dim)
        float* o = stackalloc float[Together * dim];           // (rows, dim), of a split
        float* p = stackalloc float[Together * SplitTokens];   // (rows, keys)
        float* m = stackalloc float[Together], l = stackalloc float[Together], largest = stackalloc float[rows], total = stackalloc float[rows];
        int* length = stackalloc int[rows];
        var scale = Vector512.Create(a.Scale * TKv.Unit);
        int longest = 0;
        for (int row = 0; row < rows; row++)
        {
            float* from = call.At<float>(Q) + (long)(token + row / heads) * Tile.Pad(a.QCols) + (head0 + row % heads) * dim;
            for (int d = 0; d < dim; d += 16) (Vector512.Load(from + d) * scale).Store(q + row * dim + d);
            length[row] = call.At<int>(Positions)[token + row / heads] + 1;
            longest = Math.Max(longest, length[row]);
        }

        var cache = new HeadCache(call, kvHead);
        int* blocks = call.At<int>(Blocks) + (long)call.At<int>(Sequences)[token] * a.MaxBlocks;
        byte** at = stackalloc byte*[2 * SplitTokens / KvBlock.Tokens + Ahead];
        for (int split = firstSplit, start = split * SplitTokens; split < endSplit && start < longest; split++, start += SplitTokens)
        {
            int behind = (longest - start + KvBlock.Tokens - 1) / KvBlock.Tokens, count = Math.Min(behind, SplitTokens / KvBlock.Tokens);
            cache.Locate(blocks + start / KvBlock.Tokens, count, behind, at);
            for (int row = 0, n; row < rows; row += n)
            {
                n = Math.Min(Together, rows - row);
                var part = new Part
                {
                    At = at, Blocks = count, Length = length + row, Start = start, First = row == 0, Q = q + row * dim, P = p, M = m, L = l, O = o,
                };
                if (n == 1) Partials<TKv, One>(dim, part);
                else if (n == 2) Partials<TKv, Two>(dim, part);
                else if (n == 3) Partials<TKv, Three>(dim, part);
                else Partials<TKv, Four>(dim, part);
                for (int i = 0; i < n; i++)
                {
                    if (length[row + i] <= start) continue;
                    if (a.Splits > 0) StorePartial(call, token + (row + i) / heads, head0 + (row + i) % heads, split, m[i], l[i], o + i * dim);
                    else if (split > 0) Merge(ref largest[row + i], ref total[row + i], sum + (row + i) * dim, m[i], l[i], o + i * dim, dim);
                    else
                    {
                        (largest[row + i], total[row + i]) = (m[i], l[i]);
                        Unsafe.CopyBlockUnaligned(sum + (row + i) * dim, o + i * dim, (uint)dim * sizeof(float));
                    }
                }
            }
        }
        for (int row = 0; row < rows && a.Splits == 0; row++)
            StoreRow(call.Tensors[Y], token + row / heads, head0 + row % heads, sum + row * dim, total[row], dim);
    }

    static void StorePartial(Call call, int token, int head, int split, float m, float l, float* o)
    {
        var a = call.Args<Args>();
        float* to = call.At<float>(Y) + (((long)token * a.Heads + head) * a.Splits + split) * (a.HeadDim + 2);
        Unsafe.CopyBlockUnaligned(to, o, (uint)a.HeadDim * sizeof(float));
        (to[a.HeadDim], to[a.HeadDim + 1]) = (m, l);
    }

    /// <summary>Adds the partial (m, l, o) of a split to those before it.</summary>
    internal static void Merge(ref float largest, ref float total, float* sum, float m, float l, float* o, int dim)
    {
        float both = MathF.Max(largest, m);
        var shares = Lanes.Exp(Vector512.CreateScalar(largest - both).WithElement(1, m - both));
        Vector512<float> before = Vector512.Create(shares[0]), now = Vector512.Create(shares[1]);
        total = MathF.FusedMultiplyAdd(l, shares[1], total * shares[0]);
        for (int d = 0; d < dim; d += 16) Vector512.FusedMultiplyAdd(Vector512.Load(o + d), now, Vector512.Load(sum + d) * before).Store(sum + d);
        largest = both;
    }

    /// <summary>The answer of a token's head: sum / total.</summary>
    internal static void StoreRow(Tensor y, int token, int head, float* sum, float total, int dim)
    {
        byte* to = (byte*)y.Address + (long)token * Shaders.Rows.Stride(y.Type, y.Cols);
        var inverse = Vector512.Create(1 / total);
        for (int d = 0; d < dim; d += 32)
            Lanes.StoreBlock(to, y.Type, y.Cols, (head * dim + d) / 32, Vector512.Load(sum + d) * inverse, Vector512.Load(sum + d + 16) * inverse);
    }
}
