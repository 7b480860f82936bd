using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.OpenCL;
using Tessera.Runtime.Devices.Ilgpu;

namespace Tessera.Shaders;

/// <summary>What a product is compiled for: constants to the compiler, so that no loop asks what they are.</summary>
interface IForm
{
    /// <summary>Weights in a word. 8: Q4, 4: Q8, 2: halves, 1: F32.</summary>
    int WordK { get; }

    /// <summary>F16, where a word holds 2; else BF16.</summary>
    bool IsF16 { get; }

    bool IsA8 { get; }

    /// <summary>Tokens that share one reading of a panel.</summary>
    int Tokens { get; }

    /// <summary>For CPUs: a thread makes its rows over all of K, with nothing shared.</summary>
    bool IsNarrow { get; }
}

/// <summary>
/// The product of a panel with up to 4 tokens on CUDA and OpenCL, in the order of panel.glsl and narrow.glsl. A thread sums 4 rows over whole tiles: on a GPU
/// over a slice of K, 32 slices with 4 threads each, whose sums meet in shared memory; on a CPU, where barriers are slow, slice after slice.
/// </summary>
static class PanelIlgpu
{
    public const int SliceThreads = Tile.Rows / 4;
    public const int Threads = Tile.Slices * SliceThreads;
    public const int Partials = Tile.Slices * Tile.Rows;   // of a token
    const int LowHalves = 0x0f0f0f0f;

    /// <summary>What is bound of a product. Matrix: where it begins in w, in bytes. Zero: 0, see <see cref="Floats4.Rounded"/>.</summary>
    public struct Product
    {
        public ArrayView<byte> W, X;
        public long Matrix;
        public int Outer, Inner, Zero;
    }

    /// <summary>The rows of x of 4 tokens, counted in 16 bytes.</summary>
    public struct Rows4
    {
        public long A, B, C, D;
    }

    /// <summary>The sums of 4 rows for 4 tokens.</summary>
    public struct Sums
    {
        public Floats4 A, B, C, D;

        public readonly Floats4 Of(int token)
        {
            var v = A;
            if (token == 1) v = B;
            if (token == 2) v = C;
            if (token == 3) v = D;
            return v;
        }
    }

    /// <summary>Words of each of 4 rows that are under way at once.</summary>
    struct Words
    {
        public Ints4 A, B, C, D, E, F, G, H;
    }

    /// <summary>Bytes of a matrix of panels, scales included.</summary>
    public static long PanelBytes<T>(int outer, int inner) where T : struct, IForm =>
        (long)((outer + Tile.Rows - 1) / Tile.Rows) * Tile.Tiles(inner) * (TileBytes<T>() + ScaleBytes<T>());

    static int TileBytes<T>() where T : struct, IForm => Tile.Rows * Tile.K / default(T).WordK * Tile.WordBytes;

    static int ScaleBytes<T>() where T : struct, IForm => default(T).WordK == 8 ? Tile.Rows * 3 : default(T).WordK == 4 ? Tile.Rows * 2 : 0;

    /// <summary>Tokens that follow each other from the first on; those past the last are the last again, so that every form does the same.</summary>
    public static Rows4 Following<T>(int first, int tokens, int inner) where T : struct, IForm
    {
        long stride = StoreIlgpu.Stride(default(T).IsA8, inner) / 16;
        return new()
        {
            A = first * stride, B = (first + IntrinsicMath.Min(1, tokens - 1)) * stride,
            C = (first + IntrinsicMath.Min(2, tokens - 1)) * stride, D = (first + IntrinsicMath.Min(3, tokens - 1)) * stride,
        };
    }

    /// <summary>On a GPU: sums a slice by each thread; afterwards <see cref="RowSum"/> is the product of a token with a row of the panel.</summary>
    public static void Share<T>(Product p, int panel, Rows4 rows, ArrayView<float> partial, int thread) where T : struct, IForm
    {
        int slice = thread / SliceThreads, row = thread % SliceThreads * 4, tiles = Tile.Tiles(p.Inner);
        var sums = Slice<T>(p, panel, row, rows, tiles * slice / Tile.Slices, tiles * (slice + 1) / Tile.Slices, default);
        int at = slice * Tile.Rows + row;
        Put(partial, at, sums.A);
        if (default(T).Tokens > 1)
        {
            Put(partial, Partials + at, sums.B);
            Put(partial, 2 * Partials + at, sums.C);
            Put(partial, 3 * Partials + at, sums.D);
        }
        ILGPU.Group.Barrier();
    }

    static void Put(ArrayView<float> partial, int at, Floats4 sums)
    {
        partial[at] = sums.X;
        partial[at + 1] = sums.Y;
        partial[at + 2] = sums.Z;
        partial[at + 3] = sums.W;
    }

    /// <summary>Slice after slice.</summary>
    public static float RowSum(ArrayView<float> partial, int token, int row)
    {
        float sum = 0;
        for (int i = 0; i < Tile.Slices; i++) sum += partial[token * Partials + i * Tile.Rows + row];
        return sum;
    }

    /// <summary>On a CPU: 4 rows over all of K, slice after slice.</summary>
    public static Sums All<T>(Product p, int panel, int row, Rows4 rows) where T : struct, IForm
    {
        Sums totals = default;
        int tiles = Tile.Tiles(p.Inner);
        for (int slice = 0; slice < Tile.Slices; slice++)
        {
            var sums = Slice<T>(p, panel, row, rows, tiles * slice / Tile.Slices, tiles * (slice + 1) / Tile.Slices, default);
            totals.A += sums.A;
            if (default(T).Tokens == 1) continue;
            totals.B += sums.B;
            totals.C += sums.C;
            totals.D += sums.D;
        }
        return totals;
    }

    static Sums Slice<T>(Product p, int panel, int row, Rows4 rows, int begin, int end, Sums sums) where T : struct, IForm
    {
        int allTiles = Tile.Tiles(p.Inner), words = Tile.K / default(T).WordK;
        long tilesBefore = (long)panel * allTiles;
        long scales = p.Matrix + (long)((p.Outer + Tile.Rows - 1) / Tile.Rows) * allTiles * TileBytes<T>() + tilesBefore * ScaleBytes<T>();
        var quads = p.W.Cast<Ints4>();
        var ints = p.W.Cast<int>();
        for (int tile = begin; tile < end; tile++)
        {
            var scale = new Floats4(1, 1, 1, 1);
            Ints4 zeros = default; // in sixteenths
            if (default(T).WordK >= 4)
            {
                long at = (scales + (long)tile * ScaleBytes<T>() + row * 2) / 4;
                int low = ints[at], high = ints[at + 1];
                scale = new(Bits.Half(low), Bits.Half(low >> 16), Bits.Half(high), Bits.Half(high >> 16));
            }
            if (default(T).WordK == 8)
            {
                int z = ints[(scales + (long)tile * ScaleBytes<T>() + Tile.Rows * 2 + row) / 4];
                zeros = new Ints4(z, z >> 8, z >> 16, z >> 24) & 255;
            }
            for (int part = 0; part < words; part += 8)
            {
                long at = (p.Matrix + (tilesBefore + tile) * TileBytes<T>()) / 16 + part * (Tile.Rows / 4) + row / 4;
                Words w = default; // a word of each of 4 rows
                w.A = quads[at];
                w.B = quads[at + 4];
                w.C = quads[at + 8];
                w.D = quads[at + 12];
                if (default(T).WordK < 8)
                {
                    w.E = quads[at + 16];
                    w.F = quads[at + 20];
                    w.G = quads[at + 24];
                    w.H = quads[at + 28];
                }
                sums.A = Token<T>(p, w, rows.A, tile, part, scale, zeros, sums.A);
                if (default(T).Tokens == 1) continue;
                sums.B = Token<T>(p, w, rows.B, tile, part, scale, zeros, sums.B);
                sums.C = Token<T>(p, w, rows.C, tile, part, scale, zeros, sums.C);
                sums.D = Token<T>(p, w, rows.D, tile, part, scale, zeros, sums.D);
            }
        }
        return sums;
    }

    static Floats4 Token<T>(Product p, Words w, long x, int tile, int part, Floats4 scale, Ints4 zeros, Floats4 sum) where T : struct, IForm =>
        default(T).IsA8 ? Integers<T>(p, w, x, tile, scale, zeros, sum) : Floats<T>(p, w, x, tile, part, scale, zeros, sum);

    static Floats4 Integers<T>(Product p, Words w, long x, int tile, Floats4 scale, Ints4 zeros, Floats4 sum) where T : struct, IForm
    {
        int allTiles = Tile.Tiles(p.Inner);
        var quads = p.X.Cast<Ints4>();
        Ints4 low = quads[x + tile * 2], high = quads[x + tile * 2 + 1], dots = default;
        long scales = x * 4 + allTiles * (Tile.K / 4);
        var unit = scale;
        if (default(T).WordK == 8)
        {
            dots = Dots(w.A & LowHalves, low.X, Dots(w.A >> 4 & LowHalves, low.Y, dots));
            dots = Dots(w.B & LowHalves, low.Z, Dots(w.B >> 4 & LowHalves, low.W, dots));
            dots = Dots(w.C & LowHalves, high.X, Dots(w.C >> 4 & LowHalves, high.Y, dots));
            dots = Dots(w.D & LowHalves, high.Z, Dots(w.D >> 4 & LowHalves, high.W, dots));
            dots = dots * 16 - zeros * p.X.Cast<int>()[scales + allTiles + tile]; // the sum of the activations
            unit *= 1f / 16;
        }
        else
        {
            dots = Dots(w.A, low.X, Dots(w.B, low.Y, Dots(w.C, low.Z, Dots(w.D, low.W, dots))));
            dots = Dots(w.E, high.X, Dots(w.F, high.Y, Dots(w.G, high.Z, Dots(w.H, high.W, dots))));
        }
        // rounded at every step, in the order that all devices follow
        var term = dots.ToFloats() * (unit * p.X.Cast<float>()[scales + tile]);
        return sum + term.Rounded(p.Zero);
    }

    /// <summary>The integer products of 4 rows' words with a word of activations, added.</summary>
    static Ints4 Dots(Ints4 w, int q, Ints4 sum) =>
        new(Dp4a.Add(w.X, q, sum.X), Dp4a.Add(w.Y, q, sum.Y), Dp4a.Add(w.Z, q, sum.Z), Dp4a.Add(w.W, q, sum.W));

    static Floats4 Floats<T>(Product p, Words w, long x, int tile, int part, Floats4 scale, Ints4 zeros, Floats4 sum) where T : struct, IForm
    {
        var quads = p.X.Cast<Floats4>();
        long at = x + tile * (Tile.K / 4);
        if (default(T).WordK >= 4)
        {
            Floats4 product = default, zero = zeros.ToFloats() * (1f / 16);
            if (default(T).WordK == 8)
            {
                product = Halves(w.A, zero, quads[at], quads[at + 1], product);
                product = Halves(w.B, zero, quads[at + 2], quads[at + 3], product);
                product = Halves(w.C, zero, quads[at + 4], quads[at + 5], product);
                product = Halves(w.D, zero, quads[at + 6], quads[at + 7], product);
            }
            else
            {
                product = Bytes(w.A, quads[at], product);
                product = Bytes(w.B, quads[at + 1], product);
                product = Bytes(w.C, quads[at + 2], product);
                product = Bytes(w.D, quads[at + 3], product);
                product = Bytes(w.E, quads[at + 4], product);
                product = Bytes(w.F, quads[at + 5], product);
                product = Bytes(w.G, quads[at + 6], product);
                product = Bytes(w.H, quads[at + 7], product);
            }
            return product * scale + sum;
        }
        at += part * default(T).WordK / 4;
        if (default(T).WordK == 2)
        {
            sum = Pairs<T>(w.A, w.B, quads[at], sum);
            sum = Pairs<T>(w.C, w.D, quads[at + 1], sum);
            sum = Pairs<T>(w.E, w.F, quads[at + 2], sum);
            return Pairs<T>(w.G, w.H, quads[at + 3], sum);
        }
        Floats4 low = quads[at], high = quads[at + 1];
        sum = w.D.AsFloats() * low.W + (w.C.AsFloats() * low.Z + (w.B.AsFloats() * low.Y + (w.A.AsFloats() * low.X + sum)));
        return w.H.AsFloats() * high.W + (w.G.AsFloats() * high.Z + (w.F.AsFloats() * high.Y + (w.E.AsFloats() * high.X + sum)));
    }

    /// <summary>4 bytes of 4 rows.</summary>
    static Floats4 Bytes(Ints4 w, Floats4 v, Floats4 sum) =>
        (w >> 24).ToFloats() * v.W + ((w << 8 >> 24).ToFloats() * v.Z + ((w << 16 >> 24).ToFloats() * v.Y + ((w << 24 >> 24).ToFloats() * v.X + sum)));

    /// <summary>8 half bytes of 4 rows. zero: what they are too large by.</summary>
    static Floats4 Halves(Ints4 w, Floats4 zero, Floats4 low, Floats4 high, Floats4 sum)
    {
        sum = Half(w, zero) * low.X + (Half(w >> 8, zero) * low.Y + (Half(w >> 16, zero) * low.Z + (Half(w >> 24, zero) * low.W + sum)));
        return Half(w >> 4, zero) * high.X + (Half(w >> 12, zero) * high.Y + (Half(w >> 20, zero) * high.Z + (Half(w >> 28, zero) * high.W + sum)));
    }

    static Floats4 Half(Ints4 w, Floats4 zero) => (w & 15).ToFloats() - zero;

    /// <summary>Two words of 2 halves of 4 rows.</summary>
    static Floats4 Pairs<T>(Ints4 a, Ints4 b, Floats4 v, Floats4 sum) where T : struct, IForm =>
        High<T>(b) * v.W + (Low<T>(b) * v.Z + (High<T>(a) * v.Y + (Low<T>(a) * v.X + sum)));

    static Floats4 Low<T>(Ints4 w) where T : struct, IForm =>
        default(T).IsF16 ? new(Bits.Half(w.X), Bits.Half(w.Y), Bits.Half(w.Z), Bits.Half(w.W)) : (w << 16).AsFloats();

    static Floats4 High<T>(Ints4 w) where T : struct, IForm => default(T).IsF16 ? Low<T>(w >> 16) : (w & unchecked((int)0xffff0000)).AsFloats();

    /// <summary>Whether an accelerator is a CPU.</summary>
    public static bool IsCpu(Accelerator on) =>
        on.AcceleratorType == AcceleratorType.CPU || on is CLAccelerator { DeviceType: CLDeviceType.CL_DEVICE_TYPE_CPU };
}
