using Tessera.Runtime.Devices;
using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>Models of a real shape with random weights, made on the device: to measure speed where no weights can be had.</summary>
public static class Synthetic
{
    /// <summary>The shapes that can be asked for, by the names of the published models.</summary>
    public static readonly IReadOnlyDictionary<string, Qwen3Config> Shapes = new Dictionary<string, Qwen3Config>(StringComparer.Ordinal)
    {
        ["qwen3-0.6b"] = Shape(1024, 28, 16, 3072, tied: true),
        ["qwen3-1.7b"] = Shape(2048, 28, 16, 6144, tied: true),
        ["qwen3-4b"] = Shape(2560, 36, 32, 9728, tied: true),
        ["qwen3-8b"] = Shape(4096, 36, 32, 12288, tied: false),
        ["qwen3-14b"] = Shape(5120, 40, 40, 17408, tied: false),
        ["qwen3-32b"] = Shape(5120, 64, 64, 25600, tied: false),
        ["qwen3-30b-a3b"] = Moe(2048, 48, 32, 6144, 768, 151936),
        ["qwen3-235b-a22b"] = Moe(4096, 94, 64, 12288, 1536, 151936),
        ["moe-mini"] = Moe(2048, 6, 32, 6144, 768, 32768), // 30B-A3B's layer, six times
    };

    static Qwen3Config Moe(int hidden, int layers, int heads, int ffn, int expertFfn, int vocabulary) =>
        Shape(hidden, layers, heads, ffn, tied: false) with { KvHeads = 4, Vocabulary = vocabulary, Moe = new MoeConfig(128, 8, expertFfn, true, 1, []) };

    static Qwen3Config Shape(int hidden, int layers, int heads, int ffn, bool tied) => new()
    {
        Hidden = hidden, Layers = layers, Heads = heads, KvHeads = 8, HeadDim = 128, Ffn = ffn, Vocabulary = 151936, Eps = 1e-6f,
        Context = 40960, Tied = tied, AttentionBias = false, Rope = new RopeConfig(1e6, null),
    };

    /// <summary>What the weights of a shape take.</summary>
    public static long Bytes(Qwen3Config config, DType type)
    {
        var sizes = new WeightSizes(type);
        Qwen3Weights.From(config, sizes);
        return sizes.Bytes;
    }

    /// <summary>The weights of a shape: every layer its own, values of about 1 / sqrt(inner), never zeros.</summary>
    /// <exception cref="TesseraException">The device cannot hold them.</exception>
    public static LoadedModel Make(Qwen3Config config, DType type, IDevice device)
    {
        var source = new RandomWeights(device, type);
        try { return new LoadedModel(source.Memory, Qwen3Weights.From(config, source)); }
        catch
        {
            foreach (var region in source.Memory) region.Dispose();
            throw;
        }
    }
}

/// <summary>Adds up what weights take, and makes none.</summary>
sealed class WeightSizes(DType type) : IWeightSource
{
    public long Bytes { get; private set; }

    public Tensor Matrix(string name, int rows, int cols, DType? own) => Sized(1, Tile.Bytes(own ?? Mixture.TypeOf(name, type), rows, cols));

    public Tensor Experts(string name, int experts, int rows, int cols) => Sized(experts, Tile.Bytes(Mixture.TypeOf(name, type), rows, cols));

    public Tensor Vector(string name, int cols) => Sized(1, 4L * cols);

    Tensor Sized(int count, long bytes)
    {
        Bytes += count * bytes;
        return Tensor.None;
    }
}

/// <summary>Random weights in panels, made on the device a megabyte at a time.</summary>
sealed unsafe class RandomWeights(IDevice device, DType type) : IWeightSource
{
    readonly byte[] buffer = new byte[1 << 20];
    uint seed = 1;

    public List<DeviceMemory> Memory { get; } = [];

    public Tensor Matrix(string name, int rows, int cols, DType? own)
    {
        var of = own ?? Mixture.TypeOf(name, type);
        var at = Take(Tile.Bytes(of, rows, cols));
        Panels(at, 0, of, rows, cols);
        return Tensor.Weights(at, 0, of, rows, cols);
    }

    public Tensor Experts(string name, int experts, int rows, int cols)
    {
        var of = Mixture.TypeOf(name, type);
        long one = Tile.Bytes(of, rows, cols);
        var at = Take(experts * one);
        for (int e = 0; e < experts; e++) Panels(at, e * one, of, rows, cols);
        return Tensor.OfExperts(at, 0, of, experts, rows, cols);
    }

    public Tensor Vector(string name, int cols)
    {
        var at = Take(4L * cols);
        Fill(at, 0, 4L * cols, DType.F32, 1, positive: true);
        return Tensor.Packed(at, 0, DType.F32, 1, cols);
    }

    DeviceMemory Take(long bytes)
    {
        var at = device.Allocate(bytes);
        Memory.Add(at);
        return at;
    }

    void Panels(DeviceMemory at, long offset, DType type, int rows, int cols)
    {
        float spread = 1 / MathF.Sqrt(cols);
        long scales = Tile.ScalePlane(type, rows, cols);
        Fill(at, offset, scales, type, spread);
        float largest = type == DType.Q4 ? 8 : 127;
        if (!WeightFormat.Of(type).IsQuantised) return;
        Fill(at, offset + scales, Tile.Bytes(type, rows, cols) - scales, DType.F16, spread / largest, positive: true,
            WeightFormat.Of(type).HasZero ? Tile.ScaleBytes(type) : 0);
    }

    /// <param name="tile">Bytes of a tile of scales that ends with zeros, else 0.</param>
    void Fill(DeviceMemory at, long offset, long bytes, DType type, float spread, bool positive = false, int tile = 0)
    {
        for (long done = 0; done < bytes; done += buffer.Length)
        {
            int count = (int)Math.Min(buffer.Length, bytes - done);
            fixed (byte* p = buffer)
                for (int i = 0; i < count; i += 4)
                {
                    seed = seed * 1664525 + 1013904223; // Numerical Recipes' generator: fast, and random enough for timings
                    float value = spread * (positive ? 0.75f + (seed >> 8) * (0.5f / (1 << 24)) : ((seed >> 8) | 1) * (2f / (1 << 24)) - 1);
                    if (tile > 0 && (done + i) % tile >= 2 * Tile.Rows) *(uint*)(p + i) = 0x78787878; // the middle of 0 to 15
                    else *(uint*)(p + i) = type switch
                    {
                        DType.Q8 or DType.Q4 => (seed ^ seed >> 15 ^ seed << 9) | 0x01010101,
                        DType.F32 => BitConverter.SingleToUInt32Bits(value),
                        DType.BF16 => BitConverter.SingleToUInt32Bits(value) >> 16 | BitConverter.SingleToUInt32Bits(-value) & 0xffff0000,
                        DType.F16 => BitConverter.HalfToUInt16Bits((Half)value) | (uint)BitConverter.HalfToUInt16Bits((Half)(positive ? value : -value)) << 16,
                        _ => throw new TesseraException($"weights have no type {type.Name()}"),
                    };
                }
            device.Write(Tensor.Packed(at, offset + done, DType.Q8, 1, count), buffer.AsSpan(0, count));
        }
    }
}
