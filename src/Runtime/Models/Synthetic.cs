using Tessera.Runtime.Devices;
using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>Models of a real shape with random weights, made on the device: to measure speed where no weights can be had.</summary>
public static unsafe class Synthetic
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
    };

    static Qwen3Config Shape(int hidden, int layers, int heads, int ffn, bool tied) => new()
    {
        Hidden = hidden, Layers = layers, Heads = heads, KvHeads = 8, HeadDim = 128, Ffn = ffn, Vocabulary = 151936, Eps = 1e-6f,
        Context = 40960, Tied = tied, AttentionBias = false, Rope = new RopeConfig(1e6, null),
    };

    /// <summary>The weights of a shape: every layer its own, values of about 1 / sqrt(inner), never zeros.</summary>
    /// <exception cref="TesseraException">The device cannot hold them.</exception>
    public static LoadedModel Make(Qwen3Config config, DType type, IDevice device)
    {
        var memory = new List<DeviceMemory>();
        uint seed = 1;
        var piece = new byte[1 << 20];
        Tensor Panels(string name, int rows, int cols)
        {
            var at = device.Allocate(Tile.Bytes(type, rows, cols));
            memory.Add(at);
            var tensor = Tensor.Weights(at, 0, type, rows, cols);
            float spread = 1 / MathF.Sqrt(cols);
            Fill(device, at, 0, Tile.ScalePlane(type, rows, cols), piece, type, spread, ref seed);
            if (type == DType.Q8) Fill(device, at, Tile.ScalePlane(type, rows, cols), at.Bytes - Tile.ScalePlane(type, rows, cols), piece, DType.F16, spread / 127, ref seed, positive: true);
            return tensor;
        }
        Tensor Vector(string name, int cols)
        {
            var at = device.Allocate(4L * cols);
            memory.Add(at);
            Fill(device, at, 0, 4L * cols, piece, DType.F32, 1, ref seed, positive: true);
            return Tensor.Packed(at, 0, DType.F32, 1, cols);
        }
        try { return new LoadedModel(memory, Qwen3Weights.From(config, Panels, Vector)); }
        catch
        {
            foreach (var region in memory) region.Dispose();
            throw;
        }
    }

    static void Fill(IDevice device, DeviceMemory at, long offset, long bytes, byte[] piece, DType type, float spread, ref uint seed, bool positive = false)
    {
        for (long done = 0; done < bytes; done += piece.Length)
        {
            int count = (int)Math.Min(piece.Length, bytes - done);
            fixed (byte* p = piece)
                for (int i = 0; i < count; i += 4)
                {
                    seed = seed * 1664525 + 1013904223; // Numerical Recipes' generator: fast, and random enough for timings
                    float value = spread * (positive ? 0.75f + (seed >> 8) * (0.5f / (1 << 24)) : ((seed >> 8) | 1) * (2f / (1 << 24)) - 1);
                    *(uint*)(p + i) = type switch
                    {
                        DType.Q8 => (seed ^ seed >> 15 ^ seed << 9) | 0x01010101,
                        DType.F32 => BitConverter.SingleToUInt32Bits(value),
                        DType.BF16 => BitConverter.SingleToUInt32Bits(value) >> 16 | BitConverter.SingleToUInt32Bits(-value) & 0xffff0000,
                        _ => BitConverter.HalfToUInt16Bits((Half)value) | (uint)BitConverter.HalfToUInt16Bits((Half)(positive ? value : -value)) << 16,
                    };
                }
            device.Write(Tensor.Packed(at, offset + done, DType.Q8, 1, count), piece.AsSpan(0, count));
        }
    }
}
