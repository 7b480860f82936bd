using System.Diagnostics;
using System.Runtime.InteropServices;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Ledger;

/// <summary>What follows a history of ids, where the ledger is to answer what a test wants.</summary>
public delegate int Script(ReadOnlySpan<int> history);

/// <summary>
/// A device that computes no model and still knows the truth: it keeps books of which id was written at which slot of the cache, reads a token's history back
/// through the block table, as attention does, and answers with an id that is a hash of exactly that history. A block that is shared wrongly, overwritten,
/// stale or in another order, and a token at a wrong position, change the answer. For tests and timings of what drives a device.
/// </summary>
/// <remarks>
/// It knows what a step is given by the names of what is bound, and no op. A slot's hash is over the ids that its token saw when it was computed, as keys and
/// values of a deep layer are; the answer is one over the hashes of all slots that the last token sees, and its state is drawn from that.
/// </remarks>
/// <param name="ids">Answers are below this.</param>
/// <param name="script">What is answered in place of the hash. A token that saw another history than it now stands behind is −1 in what it is given.</param>
public sealed unsafe class LedgerDevice(int ids, Script? script = null) : IDevice
{
    readonly Dictionary<string, Tensor> bound = [];
    readonly LedgerRow row = new(ids);
    (int Id, int Position, ulong Hash)[] slots = [];
    int[] history = [];

    public string Name => "ledger";

    public string Description => "keeps books, computes nothing";

    public long FreeBytes => 1L << 40;

    public long MaxAllocationBytes => long.MaxValue;

    /// <summary>Told before a step what it has: tokens, and the tokens that these see, added up.</summary>
    public Action<int, long>? Stepping { get; set; }

    /// <summary>The time that its books took so far, which is none of its caller's.</summary>
    public TimeSpan Busy { get; private set; }

    public DeviceMemory Allocate(long bytes, bool shared = false) => new LedgerMemory(null, bytes);

    public DeviceMemory Load(byte* bytes, long count, Action<long>? copied = null) => new LedgerMemory(bytes, count);

    public void Write(in Tensor to, ReadOnlySpan<byte> bytes) => bytes.CopyTo(new Span<byte>((void*)to.Address, bytes.Length));

    public void Read(in Tensor from, Span<byte> bytes) => new ReadOnlySpan<byte>((void*)from.Address, bytes.Length).CopyTo(bytes);

    public Recording Record(Action<IRecorder> page)
    {
        var list = new CallList();
        page(list);
        return new LedgerRecording(list.Calls);
    }

    public Completion Submit(Recording recording)
    {
        var part = (LedgerRecording)recording;
        foreach (var (name, tensor) in part.Bound) bound[name] = tensor;
        long start = Stopwatch.GetTimestamp();
        if (part.Bound.ContainsKey("stats:out") || part.Bound.ContainsKey(LedgerRecording.States)) Step(part); // the last part of a step
        Busy += Stopwatch.GetElapsedTime(start);
        return default;
    }

    public void Wait() { }

    public double[] Profile(Recording recording) => new double[recording.Calls.Length];

    public double Time(Recording recording) => 0;

    public long UncachedBytes => 0;

    public double MeasureBandwidth() => 0;

    public void Dispose() { }

    /// <summary>One id more in a hash; the same 64 bits mean the same history.</summary>
    internal static ulong Fold(ulong hash, ulong value)
    {
        hash = (hash ^ value) * 0x9E3779B97F4A7C15;
        return hash ^ hash >> 29;
    }

    /// <summary>What follows a history whose tokens had all before them: the definition, without any slot or block.</summary>
    public static int Next(ReadOnlySpan<int> history, int ids) => (int)(Hash(history) % (ulong)ids);

    /// <summary>The state behind such a history, by the same definition.</summary>
    /// <param name="state">(hidden), each of −1 to 1.</param>
    public static void State(ReadOnlySpan<int> history, Span<float> state) => Spread(Hash(history), state);

    static ulong Hash(ReadOnlySpan<int> history)
    {
        ulong seen = 0, answer = 0;
        for (int i = 0; i < history.Length; i++)
        {
            seen = Fold(seen, Entry(history[i], i));
            answer = Fold(answer, seen);
        }
        return answer;
    }

    static void Spread(ulong hash, Span<float> state)
    {
        for (int c = 0; c < state.Length; c++) state[c] = (int)(Fold(hash, (ulong)c) >> 32) / (float)(1u << 31);
    }

    static ulong Entry(int id, int position) => (ulong)(uint)id << 32 | (uint)position;

    int* At(string name) => (int*)bound[name].Address;

    void Step(LedgerRecording last)
    {
        int count = *At(LedgerRecording.TokenCount), wanted = *At(LedgerRecording.WantedCount);
        int* tokens = At("ids:in"), positions = At("positions:in"), sequences = At("sequences:in"), slotOf = At("slots:in"), rows = At("rows:in");
        long context = 0;
        for (int i = 0; i < count; i++)
        {
            if (slotOf[i] >= slots.Length) Array.Resize(ref slots, Math.Max(slotOf[i] + 1, 2 * slots.Length));
            slots[slotOf[i]] = (tokens[i], positions[i], 0);
            context += positions[i] + 1;
        }
        Stepping?.Invoke(count, context);
        ulong hash = 0;
        for (int i = 0; i < count; i++)
        {
            // What the token before it saw, and itself; without one, all of it.
            bool follows = i > 0 && sequences[i] == sequences[i - 1] && positions[i] == positions[i - 1] + 1;
            if (!follows) hash = 0;
            for (int position = follows ? positions[i] : 0; position <= positions[i]; position++)
            {
                var (id, at, _) = Slot(sequences[i], position);
                hash = Fold(hash, Entry(id, at));
            }
            slots[slotOf[i]].Hash = hash;
        }
        for (int i = 0; i < wanted; i++) Answer(last, i, sequences[rows[i]], positions[rows[i]]);
    }

    void Answer(LedgerRecording last, int wanted, int sequence, int position)
    {
        ulong hash = 0, truth = 0;
        if (history.Length <= position) Array.Resize(ref history, Math.Max(position + 1, 2 * history.Length));
        for (int i = 0; i <= position; i++)
        {
            var (id, _, seen) = Slot(sequence, i);
            hash = Fold(hash, seen);
            truth = Fold(truth, Entry(id, i));
            history[i] = seen == truth ? id : -1;
        }
        if (last.Bound.TryGetValue(LedgerRecording.States, out var states))
            Spread(hash, new Span<float>((void*)(states.Address + (ulong)(wanted * Rows.Stride(DType.F32, states.Cols))), states.Cols));
        if (last.Bound.ContainsKey("stats:out")) row.Write(script?.Invoke(history.AsSpan(0, position + 1)) ?? (int)(hash % (ulong)ids), wanted, bound);
    }

    /// <summary>What was written where the block table says a position lies.</summary>
    ref readonly (int Id, int Position, ulong Hash) Slot(int sequence, int position)
    {
        int block = At("blocks:in")[sequence * bound["blocks:in"].Cols + position / KvBlock.Tokens];
        return ref slots[block * KvBlock.Tokens + position % KvBlock.Tokens];
    }
}

/// <summary>The calls of a part of a step, and what is bound to them by names that say what it is.</summary>
sealed class LedgerRecording : Recording
{
    public const string TokenCount = "count of ids", WantedCount = "count of rows", States = "states";

    static readonly string[] names = ["ids:in", "positions:in", "sequences:in", "slots:in", "blocks:in", "rows:in", "rules:in", "masks:in", "edits:in",
        "logits:inout", "best:out", "raw:out", "stats:out"];

    public LedgerRecording(Call[] calls) : base(calls)
    {
        var gathered = Tensor.None;
        foreach (var call in calls)
        {
            Tensor Of(string binding) => call.Tensors[Array.IndexOf(call.Kernel.Bindings, binding)];
            foreach (string name in call.Kernel.Bindings.Intersect(names)) Bound[name] = Of(name);
            if (call.Kernel.Bindings.Contains("ids:in")) Bound[TokenCount] = Of("count:in");
            if (call.Kernel.Bindings.Contains("rows:in")) (gathered, Bound[WantedCount]) = (Of("y:out"), Of("count:in"));
            // What takes the gathered rows and is the end of all gives their states.
            if (call == calls[^1] && !gathered.IsNone && call.Kernel.Bindings.Contains("x:in") && Of("x:in") == gathered) Bound[States] = Of("y:out");
        }
    }

    public Dictionary<string, Tensor> Bound { get; } = [];
}

/// <summary>Zeroed memory of the process, or a region of a mapped file that somebody else owns.</summary>
sealed unsafe class LedgerMemory : DeviceMemory
{
    void* owned;

    public LedgerMemory(byte* at, long bytes) : base(bytes)
    {
        if (at is null) owned = NativeMemory.AllocZeroed((nuint)bytes);
        Address = (ulong)(at is null ? owned : at);
    }

    public override ulong Address { get; }

    public override void Dispose()
    {
        NativeMemory.Free(owned);
        owned = null;
    }
}
