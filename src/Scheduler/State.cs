namespace Tessera.Scheduling;

/// <summary>Who runs and who waits, each in its order, and what they have of blocks and rows.</summary>
sealed class State
{
    readonly List<Sequence> running, waiting;
    readonly Stack<int> rows;

    public State(int blocks, int rows)
    {
        (Pool, Rows, running, waiting, this.rows) = (new BlockPool(blocks), rows, new(rows), [], new(rows));
        for (int row = rows - 1; row >= 0; row--) this.rows.Push(row);
    }

    public BlockPool Pool { get; }

    /// <summary>Rows of the block table.</summary>
    public int Rows { get; }

    public int FreeRows => rows.Count;

    public List<Sequence> Running => running;

    public List<Sequence> Waiting => waiting;

    public void Enqueue(Sequence sequence) => Insert(waiting, sequence);

    /// <summary>A sequence that waits begins to run, with blocks that hold its beginning and the others it needs.</summary>
    public void Start(Sequence sequence, ReadOnlySpan<int> prefix)
    {
        foreach (int block in prefix)
        {
            Pool.Hold(block);
            sequence.AddBlock(block);
        }
        for (int lacking = sequence.Lacking; lacking > 0; lacking--) sequence.AddBlock(Pool.Take());
        sequence.Start(rows.Pop(), prefix.Length * Shaders.KvBlock.Tokens);
        waiting.Remove(sequence);
        Insert(running, sequence);
    }

    /// <summary>The last in order gives back what it has, and waits to be computed again.</summary>
    public Sequence Preempt()
    {
        var last = running[^1];
        running.RemoveAt(running.Count - 1);
        rows.Push(last.Stop(Pool));
        Insert(waiting, last);
        return last;
    }

    /// <summary>A sequence is at its end, wherever it is.</summary>
    public void End(Sequence sequence)
    {
        sequence.Ended = true;
        if (sequence.Row < 0) waiting.Remove(sequence);
        else
        {
            running.Remove(sequence);
            rows.Push(sequence.Stop(Pool));
        }
    }

    static void Insert(List<Sequence> list, Sequence sequence)
    {
        int at = list.Count;
        while (at > 0 && list[at - 1].Order.CompareTo(sequence.Order) > 0) at--;
        list.Insert(at, sequence);
    }
}
