using Tessera.Runtime.Devices;
using Tessera.Shaders;

namespace Tessera.Runtime.Cache;

/// <summary>The paged KV cache of one device: keys and values of all layers in blocks of 16 tokens, and the block table of each sequence.</summary>
public sealed class KvCache : IDisposable
{
    readonly List<DeviceMemory> memory = []; // keys and values of each layer
    readonly int[] table;                // (sequences, blocksPerSequence)
    readonly int[] taken;                // blocks that each sequence has
    readonly int[] free;                 // a stack of free blocks
    int freeCount;

    /// <exception cref="TesseraException">A layer is larger than the device's largest allocation: says what would fit.</exception>
    public KvCache(IDevice device, DType type, int layers, int kvHeads, int headDim, int sequences, int blocksPerSequence)
    {
        (Sequences, BlocksPerSequence) = (sequences, blocksPerSequence);
        int blocks = checked(sequences * blocksPerSequence);
        long layer = LayerBytes(type, kvHeads, headDim, sequences, blocksPerSequence);
        if (layer > device.MaxAllocationBytes) throw TooLarge(device, type, kvHeads, headDim, layer);
        try
        {
            for (int i = 0; i < layers; i++) memory.Add(device.Allocate(layer));
        }
        catch
        {
            Dispose();
            throw;
        }
        Keys = [.. memory.Select(m => KvBlock.Tensor(m, 0, type, kvHeads, headDim, blocks))];
        Values = [.. memory.Select(m => KvBlock.Tensor(m, layer / 2, type, kvHeads, headDim, blocks))];
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
        layers * LayerBytes(type, kvHeads, headDim, sequences, blocksPerSequence);

    /// <summary>What it allocates for a layer, in one piece: keys, then values.</summary>
    public static long LayerBytes(DType type, int kvHeads, int headDim, int sequences, int blocksPerSequence) =>
        2 * ((KvBlock.Bytes(type, kvHeads, headDim, checked(sequences * blocksPerSequence)) + 255) / 256 * 256);

    TesseraException TooLarge(IDevice device, DType type, int kvHeads, int headDim, long layer)
    {
        long blocks = device.MaxAllocationBytes / LayerBytes(type, kvHeads, headDim, Sequences, 1);
        string kv = type != DType.Q8 && LayerBytes(DType.Q8, kvHeads, headDim, Sequences, BlocksPerSequence) <= device.MaxAllocationBytes ? ", --kv q8" : "";
        string each = Sequences > 1 ? $"{Sequences} sequences of {Context} tokens" : $"{Context} tokens";
        return new($"the cache of a layer ({each}, {type.Name()}) needs {(layer + (1 << 20) - 1) >> 20} MiB in one allocation, {device.Name} gives at most "
            + $"{device.MaxAllocationBytes >> 20} MiB; would fit: a context of {blocks * KvBlock.Tokens}{kv}, or try another device");
    }

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

    public void Dispose()
    {
        foreach (var layer in memory) layer.Dispose();
    }
}
