using Tessera.Runtime.Devices;
using Tessera.Shaders;

namespace Tessera.Runtime.Cache;

/// <summary>The paged KV cache of one device: keys and values of all layers in blocks of 16 tokens, and the block table of each sequence.</summary>
public sealed class KvCache : IDisposable
{
    readonly DeviceMemory memory;
    readonly int[] table;                // (sequences, blocksPerSequence)
    readonly int[] taken;                // blocks that each sequence has
    readonly int[] free;                 // a stack of free blocks
    int freeCount;

    public KvCache(IDevice device, DType type, int layers, int kvHeads, int headDim, int sequences, int blocksPerSequence)
    {
        (Sequences, BlocksPerSequence) = (sequences, blocksPerSequence);
        int blocks = sequences * blocksPerSequence;
        long plane = PlaneBytes(type, kvHeads, headDim, blocks);
        memory = device.Allocate(2 * layers * plane);
        Keys = [.. Enumerable.Range(0, layers).Select(i => KvBlock.Tensor(memory, 2 * i * plane, type, kvHeads, headDim, blocks))];
        Values = [.. Enumerable.Range(0, layers).Select(i => KvBlock.Tensor(memory, (2 * i + 1) * plane, type, kvHeads, headDim, blocks))];
        table = new int[blocks];
        taken = new int[sequences];
        free = [.. Enumerable.Range(0, blocks).Reverse()];
        freeCount = blocks;
    }

    public Tensor[] Keys { get; }        // per layer; see KvBlock

    public Tensor[] Values { get; }

    public int Sequences { get; }

    public int BlocksPerSequence { get; }

    /// <summary>Tokens that one sequence can hold.</summary>
    public int Context => BlocksPerSequence * KvBlock.Tokens;

    /// <summary>The block table, (sequences, blocksPerSequence).</summary>
    public ReadOnlySpan<int> Table => table;

    /// <summary>What a cache allocates.</summary>
    public static long Bytes(DType type, int layers, int kvHeads, int headDim, int sequences, int blocksPerSequence) =>
        2 * layers * PlaneBytes(type, kvHeads, headDim, sequences * blocksPerSequence);

    static long PlaneBytes(DType type, int kvHeads, int headDim, int blocks) => (KvBlock.Bytes(type, kvHeads, headDim, blocks) + 255) / 256 * 256;

    /// <summary>The slot of a position, block · 16 + place; takes a free block where the sequence has none there yet.</summary>
    /// <exception cref="TesseraException">The context is full.</exception>
    public int Slot(int sequence, int position)
    {
        int index = position / KvBlock.Tokens;
        if (index >= BlocksPerSequence)
            throw new TesseraException($"the context of {Context} tokens is full; start a new conversation or load with a larger context");
        while (taken[sequence] <= index)
            table[sequence * BlocksPerSequence + taken[sequence]++] = free[--freeCount];
        return table[sequence * BlocksPerSequence + index] * KvBlock.Tokens + position % KvBlock.Tokens;
    }

    /// <summary>Forgets the positions from <paramref name="length"/> on and gives their blocks back.</summary>
    public void Truncate(int sequence, int length)
    {
        int kept = (length + KvBlock.Tokens - 1) / KvBlock.Tokens;
        while (taken[sequence] > kept)
            free[freeCount++] = table[sequence * BlocksPerSequence + --taken[sequence]];
    }

    public void Dispose() => memory.Dispose();
}
