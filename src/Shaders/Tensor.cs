namespace Tessera.Shaders;

/// <summary>Memory that a device owns, or on the host a region of the mapped file. Disposed by its owner, never by a tensor.</summary>
public abstract class DeviceMemory(long bytes) : IDisposable
{
    public long Bytes { get; } = bytes;

    /// <summary>What a kernel adds an offset to: a pointer on the host, a device address on Vulkan, 0 where a device has neither.</summary>
    public abstract ulong Address { get; }

    public abstract void Dispose();
}

/// <summary>A view of device memory: what a kernel reads or writes. Weights lie as <see cref="Tile"/> says, activations as <see cref="Rows"/> says.</summary>
public readonly record struct Tensor(DeviceMemory? Memory, long Offset, long Bytes, DType Type, int RowCount, int Cols)
{
    /// <summary>The tensor that is not there: no bias, no bound on rows.</summary>
    public static readonly Tensor None;

    public bool IsNone => Memory is null;

    public ulong Address => Memory is null ? 0 : Memory.Address + (ulong)Offset;

    /// <summary>A matrix of weights in panels.</summary>
    public static Tensor Weights(DeviceMemory memory, long offset, DType type, int rows, int cols) =>
        Checked(memory, offset, Tile.Bytes(type, rows, cols), type, rows, cols);

    /// <summary>The matrices of all experts, one behind the other; rows and cols are those of one.</summary>
    public static Tensor OfExperts(DeviceMemory memory, long offset, DType type, int experts, int rows, int cols) =>
        Checked(memory, offset, experts * Tile.Bytes(type, rows, cols), type, rows, cols);

    /// <summary>The matrix of one expert.</summary>
    public Tensor Expert(int expert)
    {
        long bytes = Tile.Bytes(Type, RowCount, Cols);
        return this with { Offset = Offset + expert * bytes, Bytes = bytes };
    }

    /// <summary>Rows of activations, integers or plain vectors.</summary>
    public static Tensor OfRows(DeviceMemory memory, long offset, DType type, int rows, int cols) =>
        Checked(memory, offset, Shaders.Rows.Bytes(type, rows, cols), type, rows, cols);

    /// <summary>Packed numbers without padding: vectors of weights, tokens, positions, block tables.</summary>
    public static Tensor Packed(DeviceMemory memory, long offset, DType type, int rows, int cols) =>
        Checked(memory, offset, (long)rows * cols * type.ElementBytes(), type, rows, cols);

    internal static Tensor Checked(DeviceMemory memory, long offset, long bytes, DType type, int rows, int cols)
    {
        if (rows < 0 || cols < 0 || offset < 0 || bytes > memory.Bytes - offset)
            throw new TesseraException($"tensor {type.Name()} ({rows}, {cols}) needs {bytes} bytes at {offset}, its memory has {memory.Bytes}");
        return new Tensor(memory, offset, bytes, type, rows, cols);
    }
}
