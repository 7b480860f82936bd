using System.Runtime.InteropServices;
using Tessera.Runtime.Devices;
using Tessera.Shaders;

namespace Tessera.Runtime.Cache;

/// <summary>
/// The paged KV cache of one device: keys and values of all layers in a pool of blocks of 16 tokens, and a block table whose rows say where a sequence's
/// tokens lie. It only stores: who has which block, and how many rows share one, is its caller's to know.
/// </summary>
public sealed class KvCache : IDisposable
{
    readonly List<DeviceMemory> memory = []; // keys and values of each layer
    readonly int[] table;                // (rows, blocksPerRow)
    readonly int[] count;                // blocks of each row
    readonly (int First, int End)[] changed; // the part of each row that the device does not have
    readonly int[] changedRows;          // the rows with such a part
    int changedCount;

    /// <param name="blocks">Of the pool.</param>
    /// <param name="rows">Of the block table: sequences at once.</param>
    /// <param name="blocksPerRow">The most blocks of a sequence.</param>
    /// <exception cref="TesseraException">A layer is larger than the device's largest allocation: says what would fit.</exception>
    public KvCache(IDevice device, DType type, int layers, int kvHeads, int headDim, int blocks, int rows, int blocksPerRow)
    {
        (Blocks, Rows, BlocksPerRow) = (blocks, rows, blocksPerRow);
        long layer = LayerBytes(type, kvHeads, headDim, blocks);
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
        table = new int[checked(rows * blocksPerRow)];
        (count, changed, changedRows) = (new int[rows], new (int, int)[rows], new int[rows]);
    }

    public Tensor[] Keys { get; }        // per layer; see KvBlock

    public Tensor[] Values { get; }

    /// <summary>Blocks of the pool.</summary>
    public int Blocks { get; }

    /// <summary>Rows of the block table.</summary>
    public int Rows { get; }

    /// <summary>Columns of the block table: the most blocks of a sequence.</summary>
    public int BlocksPerRow { get; }

    /// <summary>Tokens that one sequence can have.</summary>
    public int Context => BlocksPerRow * KvBlock.Tokens;

    /// <summary>What a cache allocates.</summary>
    public static long Bytes(DType type, int layers, int kvHeads, int headDim, int blocks) => layers * LayerBytes(type, kvHeads, headDim, blocks);

    /// <summary>What it allocates for a layer, in one piece: keys, then values.</summary>
    public static long LayerBytes(DType type, int kvHeads, int headDim, int blocks) => 2 * ((KvBlock.Bytes(type, kvHeads, headDim, blocks) + 255) / 256 * 256);

    TesseraException TooLarge(IDevice device, DType type, int kvHeads, int headDim, long layer)
    {
        long fitting = device.MaxAllocationBytes / LayerBytes(type, kvHeads, headDim, 1);
        string kv = type != DType.Q8 && LayerBytes(DType.Q8, kvHeads, headDim, Blocks) <= device.MaxAllocationBytes ? ", --kv q8" : "";
        return new($"the cache of a layer ({(long)Blocks * KvBlock.Tokens} tokens, {type.Name()}) needs {(layer + (1 << 20) - 1) >> 20} MiB in one allocation, "
            + $"{device.Name} gives at most {device.MaxAllocationBytes >> 20} MiB; would fit: a cache of {fitting * KvBlock.Tokens} tokens{kv}, or try another "
            + "device");
    }

    /// <summary>Blocks that a row has.</summary>
    public int CountOf(int row) => count[row];

    /// <summary>Puts a block of the pool in a row, behind those that it has or in place of one.</summary>
    /// <param name="index">Of positions index · 16 to index · 16 + 15.</param>
    /// <exception cref="TesseraException">There is no such row or block, the row is full, or blocks before this one are not set.</exception>
    public void Set(int row, int index, int block)
    {
        if ((uint)row >= (uint)Rows) throw new TesseraException($"block table: expected row 0 to {Rows - 1}, found {row}");
        if ((uint)index >= (uint)BlocksPerRow || index > count[row])
            throw new TesseraException($"block table, row {row}: expected place 0 to {Math.Min(count[row], BlocksPerRow - 1)}, found {index}");
        if ((uint)block >= (uint)Blocks) throw new TesseraException($"block table, row {row}: expected block 0 to {Blocks - 1}, found {block}");
        if (index == count[row]) count[row]++;
        ref int at = ref table[row * BlocksPerRow + index];
        if (at == block) return; // as the device has it, or will: both begin with zeros
        at = block;
        ref var part = ref changed[row];
        if (part.First == part.End) (changedRows[changedCount++], part) = (row, (index, index + 1));
        else part = (Math.Min(part.First, index), Math.Max(part.End, index + 1));
    }

    /// <summary>Takes all blocks out of a row, for another sequence.</summary>
    public void Clear(int row) => count[row] = 0;

    /// <summary>Sets every row's own run of blocks, as many as it can have: where nothing is shared and the pool holds all.</summary>
    /// <exception cref="TesseraException">The pool is smaller than the block table.</exception>
    public void SetRuns()
    {
        for (int i = 0; i < table.Length; i++) Set(i / BlocksPerRow, i % BlocksPerRow, i);
    }

    /// <summary>The slot of a position, block · 16 + place.</summary>
    /// <exception cref="TesseraException">No block was set there.</exception>
    public int Slot(int row, int position)
    {
        if ((uint)row >= (uint)Rows || position < 0 || position / KvBlock.Tokens >= count[row])
            throw new TesseraException($"position {position} of row {row}: expected one whose block is set, found "
                + $"{((uint)row < (uint)Rows ? count[row] : 0)} blocks of {KvBlock.Tokens} tokens");
        return table[row * BlocksPerRow + position / KvBlock.Tokens] * KvBlock.Tokens + position % KvBlock.Tokens;
    }

    /// <summary>Writes what was set since the last time, and nothing else.</summary>
    /// <param name="to">(rows, blocksPerRow) i32, the block table that kernels read.</param>
    internal void Upload(IDevice device, in Tensor to)
    {
        for (; changedCount > 0; changedCount--)
        {
            int row = changedRows[changedCount - 1];
            var (first, end) = changed[row];
            int at = row * BlocksPerRow + first;
            device.Write(to with { Offset = to.Offset + sizeof(int) * (long)at, Bytes = sizeof(int) * (end - first) },
                MemoryMarshal.AsBytes(table.AsSpan(at, end - first)));
            changed[row] = default;
        }
    }

    public void Dispose()
    {
        foreach (var layer in memory) layer.Dispose();
    }
}
