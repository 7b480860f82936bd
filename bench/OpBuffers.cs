using System.Runtime.InteropServices;
using Tessera.Runtime.Devices;
using Tessera.Shaders;

namespace Tessera.Bench;

/// <summary>Random tensors on a device for timing one op.</summary>
sealed class OpBuffers(IDevice device) : IDisposable
{
    readonly List<DeviceMemory> memory = [];
    readonly Random random = new(7);

    public Tensor Weights(DType type, int rows, int cols)
    {
        var tensor = Tensor.Weights(Take(Tile.Bytes(type, rows, cols)), 0, type, rows, cols);
        long values = Tile.ScalePlane(type, rows, cols);
        if (type == DType.Q8) Fill(tensor, 0, values, at => random.NextBytes(at));
        else Fill(tensor, 0, values, at => Small(at, type));
        Fill(tensor, values, tensor.Bytes - values, at => Small(at, DType.F16));
        return tensor;
    }

    public Tensor Rows(DType type, int rows, int cols)
    {
        var tensor = Tensor.OfRows(Take(Shaders.Rows.Bytes(type, rows, cols)), 0, type, rows, cols);
        // For A8 the scales and sums are floats of the same random bytes: any value will do for timing, but not NaN.
        Fill(tensor, 0, tensor.Bytes, at => Small(at, DType.F32));
        return tensor;
    }

    public Tensor Floats(int rows, int cols) => Filled(DType.F32, rows, cols, at => Small(at, DType.F32));

    public Tensor Ints(params int[] values) => Filled(DType.I32, 1, values.Length, at => MemoryMarshal.AsBytes<int>(values)[..at.Length].CopyTo(at));

    public Tensor Zeros(DType type, int rows, int cols) => Tensor.Packed(Take((long)rows * cols * type.ElementBytes()), 0, type, rows, cols);

    public Tensor Cache(DType type, int kvHeads, int headDim, int blocks)
    {
        var tensor = KvBlock.Tensor(Take(KvBlock.Bytes(type, kvHeads, headDim, blocks)), 0, type, kvHeads, headDim, blocks);
        Fill(tensor, 0, tensor.Bytes, at => Small(at, type));
        return tensor;
    }

    public void Dispose()
    {
        foreach (var region in memory) region.Dispose();
    }

    Tensor Filled(DType type, int rows, int cols, FillSpan fill)
    {
        var tensor = Zeros(type, rows, cols);
        Fill(tensor, 0, tensor.Bytes, fill);
        return tensor;
    }

    DeviceMemory Take(long bytes)
    {
        var at = device.Allocate(bytes);
        memory.Add(at);
        return at;
    }

    delegate void FillSpan(Span<byte> at);

    void Fill(Tensor tensor, long offset, long bytes, FillSpan fill)
    {
        if (bytes == 0) return;
        var piece = new byte[bytes];
        fill(piece);
        device.Write(tensor with { Offset = tensor.Offset + offset, Bytes = bytes }, piece);
    }

    void Small(Span<byte> at, DType type)
    {
        if (type == DType.F32)
            foreach (ref float f in MemoryMarshal.Cast<byte, float>(at)) f = (float)random.NextDouble() * 0.1f + 0.01f;
        else
            foreach (ref ushort h in MemoryMarshal.Cast<byte, ushort>(at))
                h = type == DType.BF16 ? (ushort)(BitConverter.SingleToUInt32Bits((float)random.NextDouble() * 0.1f + 0.01f) >> 16) : BitConverter.HalfToUInt16Bits((Half)(random.NextDouble() * 0.1 + 0.01));
    }
}
