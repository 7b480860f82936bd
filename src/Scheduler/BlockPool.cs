namespace Tessera.Scheduling;

/// <summary>
/// Who has which block of the cache. A block is held (by one sequence or by several that share it), cached (held by nobody, its content known by its hash),
/// or free; the three add up to all. Those that nobody holds wait in one queue: taken at its head, where the free ones are, and then the cached ones, least
/// recently used first.
/// </summary>
sealed class BlockPool
{
    const int None = -1;

    readonly int[] references, next, previous;           // of each block; the last two within the queue
    readonly bool[] named;                               // whether a block's content has a hash that finds it
    readonly UInt128[] hashes;
    readonly Dictionary<UInt128, int> byHash;
    int head = None, tail = None;

    public BlockPool(int blocks)
    {
        (references, next, previous, named, hashes) = (new int[blocks], new int[blocks], new int[blocks], new bool[blocks], new UInt128[blocks]);
        byHash = new Dictionary<UInt128, int>(blocks);
        for (int block = 0; block < blocks; block++) Enqueue(block, atHead: false);
        Free = blocks;
    }

    public int Total => references.Length;

    /// <summary>Blocks that hold nothing of use.</summary>
    public int Free { get; private set; }

    /// <summary>Blocks that nobody holds, and that a prefix may find.</summary>
    public int Cached { get; private set; }

    public int Held => Total - Available;

    /// <summary>Blocks that can be taken.</summary>
    public int Available => Free + Cached;

    public int References(int block) => references[block];

    /// <summary>The hash that finds a block; null: none does.</summary>
    public UInt128? Name(int block) => named[block] ? hashes[block] : null;

    /// <summary>Takes a block to write into: a free one, else the cached one that was used longest ago. −1: all are held.</summary>
    public int Take()
    {
        int block = head;
        if (block == None) return None;
        Hold(block);
        if (named[block]) byHash.Remove(hashes[block]);
        named[block] = false;
        return block;
    }

    /// <summary>The block that holds what <paramref name="hash"/> names, held or cached; it is not held by this.</summary>
    public bool TryFind(UInt128 hash, out int block) => byHash.TryGetValue(hash, out block);

    /// <summary>One more holder of a block that was found.</summary>
    public void Hold(int block)
    {
        if (references[block]++ > 0) return;
        Dequeue(block);
        if (named[block]) Cached--;
        else Free--;
    }

    /// <summary>Names what a held block holds, now that it is full and computed. Where another block has that name, this one stays without.</summary>
    public void Publish(int block, UInt128 hash)
    {
        if (!named[block] && byHash.TryAdd(hash, block)) (named[block], hashes[block]) = (true, hash);
    }

    /// <summary>
    /// Gives a sequence's blocks back, the last first, so that of a prefix the end is lost before the beginning; what is not full holds nothing of use, and is
    /// the first to be taken again.
    /// </summary>
    public void Release(ReadOnlySpan<int> blocks)
    {
        for (int i = blocks.Length - 1; i >= 0; i--)
        {
            int block = blocks[i];
            if (--references[block] > 0) continue;
            Enqueue(block, atHead: !named[block]);
            if (named[block]) Cached++;
            else Free++;
        }
    }

    void Enqueue(int block, bool atHead)
    {
        (previous[block], next[block]) = atHead ? (None, head) : (tail, None);
        if (previous[block] == None) head = block;
        else next[previous[block]] = block;
        if (next[block] == None) tail = block;
        else previous[next[block]] = block;
    }

    void Dequeue(int block)
    {
        if (previous[block] == None) head = next[block];
        else next[previous[block]] = next[block];
        if (next[block] == None) tail = previous[block];
        else previous[next[block]] = previous[block];
    }
}
