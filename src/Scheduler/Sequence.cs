using Tessera.Shaders;

namespace Tessera.Scheduling;

/// <summary>
/// One answer in the making. There are no phases: its tokens are known up to <see cref="Count"/> and computed up to <see cref="Computed"/>, and every step
/// computes some of those between. The prompt, tokens that are forced, and all of them after a preemption are the same case.
/// </summary>
class Sequence
{
    readonly UInt128[] hashes;                           // of the full blocks of the tokens, a chain
    readonly UInt128 root;
    readonly Sequence? leader;
    readonly int[] tokens, blocks;
    PromptLookup? lookup;
    int hashed, blockCount, matched;

    /// <param name="prompt">Known from the start.</param>
    /// <param name="limit">Tokens that it may have at most, prompt and answer together.</param>
    /// <param name="order">What decides who is first, see <see cref="Order"/>.</param>
    /// <param name="leader">Another answer to the same prompt, whose full blocks this one waits for, and then shares.</param>
    public Sequence(ReadOnlySpan<int> prompt, int limit, Order order, string? salt = null, Sequence? leader = null)
    {
        (tokens, blocks, hashes) = (new int[limit], new int[BlocksFor(limit)], new UInt128[limit / KvBlock.Tokens]);
        prompt.CopyTo(tokens);
        (Count, PromptCount, Order, root, this.leader) = (prompt.Length, prompt.Length, order, BlockHash.Root(salt), leader);
    }

    public Order Order { get; }

    public int PromptCount { get; }

    /// <summary>Tokens that are known.</summary>
    public int Count { get; private set; }

    /// <summary>Tokens whose keys and values are in the cache.</summary>
    public int Computed { get; private set; }

    public int Pending => Count - Computed;

    /// <summary>Tokens that it may have at most.</summary>
    public int Limit => tokens.Length;

    public ReadOnlySpan<int> Tokens => tokens.AsSpan(0, Count);

    /// <summary>Its row of the block table; −1: it waits.</summary>
    public int Row { get; private set; } = -1;

    /// <summary>Its blocks in order. Blocks are only added to a row, never changed.</summary>
    public ReadOnlySpan<int> Blocks => blocks.AsSpan(0, blockCount);

    /// <summary>Blocks that are in the device's table already.</summary>
    public int BlocksWritten { get; set; }

    public bool Ended { get; set; }

    /// <summary>Whether it waits for blocks that another answer computes.</summary>
    public bool Follows => leader is { Ended: false } && leader.Computed < (PromptCount - 1) / KvBlock.Tokens * KvBlock.Tokens;

    /// <summary>Whether tokens behind one that is drawn can be guessed: what is drawn follows from no rule that changes with each.</summary>
    public virtual bool IsDraftable => true;

    /// <summary>Tokens behind the known ones that are guessed, for one step.</summary>
    public int Drafted { get; private set; }

    public PromptLookup Lookup => lookup ??= new PromptLookup(Limit);

    public static int BlocksFor(int tokens) => (tokens + KvBlock.Tokens - 1) / KvBlock.Tokens;

    /// <summary>Blocks that it lacks for its known tokens.</summary>
    public int Lacking => BlocksFor(Count) - blockCount;

    public void Add(int token) => tokens[Count++] = token;

    /// <summary>The next of its tokens, of which a step computes so many: known ones, then the draft.</summary>
    public ReadOnlySpan<int> Next(int count) => tokens.AsSpan(Computed, count);

    /// <summary>Guesses that what follows is what followed a match of so many of its last ids.</summary>
    public void Draft(int position, int matched, int count)
    {
        (this.matched, Drafted) = (matched, count);
        for (int i = 0; i < count; i++) tokens[Count + i] = tokens[position + i]; // a text that repeats itself goes on doing so
    }

    /// <summary>Whether a token that was drawn is the one of the draft; where it is not, what is left of the draft is worth nothing.</summary>
    public bool Accepts(int token)
    {
        if (Drafted == 0) return false;
        bool accepted = tokens[Count] == token;
        Lookup.Learn(matched++, accepted);
        Drafted = accepted ? Drafted - 1 : 0;
        return accepted;
    }

    public void DropDraft() => Drafted = 0;

    public void AddBlock(int block) => blocks[blockCount++] = block;

    /// <summary>
    /// The blocks of the pool that hold the beginning of its tokens already; the last token is never among them, since its logits are wanted.
    /// </summary>
    public int FindPrefix(BlockPool pool, Span<int> found)
    {
        int count = 0, full = (Count - 1) / KvBlock.Tokens;
        while (count < full && pool.TryFind(HashOf(count), out int block)) found[count++] = block;
        return count;
    }

    /// <summary>Takes a row, and as computed what its first blocks hold.</summary>
    public void Start(int row, int computed) => (Row, Computed, BlocksWritten) = (row, computed, 0);

    /// <summary>So many of its tokens more are in the cache; blocks that are full by that get their names.</summary>
    public void Advance(int count, BlockPool pool)
    {
        int first = Computed / KvBlock.Tokens;
        Computed += count;
        for (int i = first; i < Computed / KvBlock.Tokens; i++) pool.Publish(blocks[i], HashOf(i));
    }

    /// <summary>Gives back row and blocks; what is known stays.</summary>
    public int Stop(BlockPool pool)
    {
        pool.Release(Blocks);
        int row = Row;
        (Row, Computed, blockCount) = (-1, 0, 0);
        return row;
    }

    UInt128 HashOf(int block)
    {
        for (; hashed <= block; hashed++)
            hashes[hashed] = BlockHash.Next(hashed == 0 ? root : hashes[hashed - 1], tokens.AsSpan(hashed * KvBlock.Tokens, KvBlock.Tokens));
        return hashes[block];
    }
}

/// <summary>
/// Who is first: priority less age / agingPeriod, then arrival. Ages grow alike, so that the order of two never changes, and a key does for it: when it
/// arrived, plus its priority in periods.
/// </summary>
/// <param name="Key">In ticks; less goes first.</param>
/// <param name="Arrival">A number for each sequence; less goes first.</param>
readonly record struct Order(long Key, long Arrival) : IComparable<Order>
{
    /// <param name="priority">Less goes first.</param>
    /// <param name="arrived">Ticks.</param>
    public static Order Of(int priority, long arrived, TimeSpan agingPeriod, long arrival) => new(arrived + priority * agingPeriod.Ticks, arrival);

    public int CompareTo(Order other) => Key != other.Key ? Key.CompareTo(other.Key) : Arrival.CompareTo(other.Arrival);
}
