using Tessera.Runtime.Devices;
using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

public class AttentionTests(OpenDevices devices) : IClassFixture<OpenDevices>
{
    public static TheoryData<string, string> Cases()
    {
        var cases = new TheoryData<string, string>();
        foreach (string device in TestDevices.Names.Select(d => d.Data))
            foreach (var one in AttentionOp.Cases.Equality) cases.Add(device, one.Name);
        return cases;
    }

    /// <summary>The order of sums is fixed by positions: a token that comes alone gets what it got among others, whichever variant makes it.</summary>
    [Theory, MemberData(nameof(Cases))]
    public void A_token_alone_gets_the_bits_it_gets_among_others(string device, string name)
    {
        var one = AttentionOp.Cases.Equality.Single(c => c.Name == name);
        var operands = one.Operands();
        var y = operands[AttentionOp.Y]!;
        using var run = new OpRun(devices[device], operands);
        try { run.Run((gpu, t) => one.Launch(gpu, [.. operands.Select(t)])); }
        catch (TesseraException e) when (!TestDevices.IsComplete(device))
        {
            Assert.Contains("has no ILGPU body", e.Message); // of this type yet
            return;
        }
        byte[] all = run.Read(y);
        int tokens = operands[AttentionOp.Q]!.RowCount, stride = all.Length / tokens;
        for (int token = 0; token < tokens; token++)
        {
            run.Run((gpu, t) => one.Launch(gpu, [.. operands.Select((o, i) => Rows(t(o), i, token, 1, tokens))]));
            run.ReplayAfresh();
            byte[] alone = run.Read(y);
            Assert.Equal(all.AsSpan(token * stride, stride), alone.AsSpan(token * stride, stride));
        }
    }

    public static TheoryData<string, string> Whole()
    {
        var cases = new TheoryData<string, string>();
        foreach (string device in TestDevices.Names.Select(d => d.Data))
            foreach (var one in AttentionOp.Cases.Equality.Where(one => one.Operands()[AttentionOp.Y]!.Form == OperandForm.Rows)) cases.Add(device, one.Name);
        return cases;
    }

    /// <summary>In one call, or in two with the partials between.</summary>
    [Theory, MemberData(nameof(Whole))]
    public void Partials_merge_to_the_bits_of_the_whole(string device, string name)
    {
        var one = AttentionOp.Cases.Equality.Single(c => c.Name == name);
        var operands = one.Operands();
        Operand q = operands[AttentionOp.Q]!, y = operands[AttentionOp.Y]!, blocks = operands[AttentionOp.Blocks]!;
        int dim = operands[AttentionOp.Keys]!.Cols, heads = y.Cols / dim, kvHeads = (q.Cols / dim - heads) / 2;
        var partials = Fill.PackedOut(DType.F32, q.RowCount * heads * AttentionOp.Splits(blocks.Cols), dim + 2, bound: 1e-9);
        using var run = new OpRun(devices[device], [.. operands, partials]);
        byte[] whole;
        try
        {
            run.Run((gpu, t) => one.Launch(gpu, [.. operands.Select(t)]));
            whole = run.Read(y);
            run.Run((gpu, t) =>
            {
                Tensor At(int binding) => t(operands[binding]);
                gpu.Attention(At(AttentionOp.Q), At(AttentionOp.Keys), At(AttentionOp.Values), At(AttentionOp.Blocks), At(AttentionOp.Sequences),
                    At(AttentionOp.Positions), t(partials), At(AttentionOp.Y), heads, kvHeads, 0.13f, At(AttentionOp.Count));
            });
        }
        catch (TesseraException e) when (!TestDevices.IsComplete(device))
        {
            Assert.Matches(@"has no (ILGPU )?body", e.Message); // of this type, or of the second op
            return;
        }
        run.ReplayAfresh();
        run.Check();
        Assert.Equal(whole, run.Read(y));
    }

    public static TheoryData<string, DType, DType> Prompts()
    {
        var cases = new TheoryData<string, DType, DType>();
        foreach (string device in TestDevices.Names.Select(d => d.Data))
            foreach (var kv in OpCases.CacheTypes)
                foreach (var y in OpCases.ActivationTypes) cases.Add(device, kv, y);
        return cases;
    }

    /// <summary>A prompt of 700 tokens in one piece, and in pieces that begin at every position: one by one, as in decoding, and larger.</summary>
    [Theory, MemberData(nameof(Prompts))]
    public void A_prompt_has_the_same_bits_wherever_it_is_cut(string name, DType kv, DType y)
    {
        const int Tokens = 700, Heads = 4, KvHeads = 2, Dim = 32, MaxBlocks = 48;
        var random = new Random(3);
        var device = devices[name];
        int[] table = [.. Enumerable.Range(0, MaxBlocks)];
        random.Shuffle(table);
        Operand[] operands =
        [
            Fill.Rows(random, DType.F32, Tokens, Heads * Dim, spread: 3), Fill.Cache(random, kv, KvHeads, Dim, MaxBlocks, keys: true, slots: null),
            Fill.Cache(random, kv, KvHeads, Dim, MaxBlocks, keys: false, slots: null), Fill.Packed<int>(DType.I32, 1, MaxBlocks, table),
            Fill.Ints(new int[Tokens]), Fill.Ints([.. Enumerable.Range(0, Tokens)]), Fill.Out(y, Tokens, Heads * Dim, bound: 0),
            Fill.PackedOut(DType.F32, AttentionOp.MaxSplitRows * Heads * AttentionOp.Splits(MaxBlocks), Dim + 2),
        ];
        DeviceMemory[] memory = [.. operands.Select(o => device.Allocate(o.ByteCount))];
        try
        {
            Tensor[] all = [.. operands.Select((o, i) => o.View(memory[i]))];
            for (int i = 0; i < all.Length; i++) device.Write(all[i], operands[i].Bytes);
            byte[] Cut(params int[] pieces)
            {
                device.Write(all[AttentionOp.Y], operands[AttentionOp.Y].Bytes);
                using var recording = device.Record(gpu =>
                {
                    for (int i = 0, first = 0, count; first < Tokens; i++, first += count)
                    {
                        count = Math.Min(pieces[i % pieces.Length], Tokens - first);
                        Tensor[] t = [.. all[..7].Select((tensor, binding) => Rows(tensor, binding, first, count, Tokens))];
                        var partials = count > AttentionOp.MaxSplitRows ? Tensor.None
                            : Tensor.Packed(memory[7], 0, DType.F32, count * Heads * AttentionOp.Splits(MaxBlocks), Dim + 2);
                        gpu.Attention(t[0], t[1], t[2], t[3], t[4], t[5], partials, t[6], Heads, KvHeads, 0.2f, Tensor.None);
                    }
                });
                device.Submit(recording);
                device.Wait();
                byte[] bytes = new byte[operands[AttentionOp.Y].ByteCount];
                device.Read(all[AttentionOp.Y], bytes);
                return bytes;
            }
            byte[] whole = Cut(Tokens);
            Assert.Equal(whole, Cut(1));
            Assert.Equal(whole, Cut(2, 3, 17, 1, 5, 31, 7, 16, 11, 64, 13));
            Assert.Equal(whole, Cut(255, 1, 2, 253, 9));
            Assert.Equal(whole, Cut(301, 399));
        }
        catch (TesseraException e) when (!TestDevices.IsComplete(name)) { Assert.Matches(@"has no (ILGPU )?body", e.Message); }
        finally
        {
            foreach (var region in memory) region.Dispose();
        }
    }

    /// <summary>However far the block table reaches behind it.</summary>
    [Theory, InlineData(5000, 320), InlineData(5000, 8192), InlineData(300, 8192)]
    public unsafe void One_token_behind_a_long_context_is_work_for_all_threads(int position, int maxBlocks)
    {
        const int Heads = 4, KvHeads = 2, Dim = 32, Threads = 5;
        int splits = AttentionOp.Splits(maxBlocks), used = position / AttentionOp.SplitTokens + 1;
        var random = new Random(5);
        Operand[] operands =
        [
            Fill.Rows(random, DType.F32, 1, Heads * Dim), Fill.Cache(random, DType.F16, KvHeads, Dim, 1, keys: true, slots: null),
            Fill.Cache(random, DType.F16, KvHeads, Dim, 1, keys: false, slots: null), Fill.Packed<int>(DType.I32, 1, maxBlocks, new int[maxBlocks]),
            Fill.Ints(0), Fill.Ints(position), Fill.PackedOut(DType.F32, Heads * splits, Dim + 2),
        ];
        var device = devices["host"];
        DeviceMemory[] memory = [.. operands.Select(o => device.Allocate(o.ByteCount))];
        try
        {
            Tensor[] t = [.. operands.Select((o, i) => o.View(memory[i]))];
            for (int i = 0; i < t.Length; i++) device.Write(t[i], operands[i].Bytes);
            var list = new CallList();
            list.AttentionPartials(t[0], t[1], t[2], t[3], t[4], t[5], t[6], Heads, KvHeads, 1, Tensor.None);
            var call = Assert.Single(list.Calls);
            int written = 0, largest = (used * KvHeads + Threads - 1) / Threads * (Heads / KvHeads);
            for (int thread = 0; thread < Threads; thread++)
            {
                call.Kernel.Host(call, call.Units * thread / Threads, call.Units * (thread + 1) / Threads);
                int now = 0;
                for (int row = 0; row < Heads * splits; row++) now += float.IsNaN(((float*)t[6].Address)[row * (Dim + 2)]) ? 0 : 1;
                Assert.InRange(now - written, 0, largest + Heads / KvHeads);
                written = now;
            }
            Assert.Equal(Heads * used, written);
            var groups = call.Kernel.Vulkan.First(v => v.Fits(new Features(32, true), call)).Groups(call);
            Assert.Equal(KvHeads * splits, groups.X * groups.Y * groups.Z);
        }
        finally
        {
            foreach (var region in memory) region.Dispose();
        }
    }

    /// <summary>What belongs to so many tokens, the cache and the block table whole, no count.</summary>
    static Tensor Rows(Tensor all, int binding, int token, int count, int tokens) => binding switch
    {
        AttentionOp.Q or AttentionOp.Y when all.Cols % Tile.K == 0 => // not partials
            Tensor.OfRows(all.Memory!, all.Offset + all.Bytes / tokens * token, all.Type, count, all.Cols),
        AttentionOp.Y => Tensor.Packed(all.Memory!, all.Offset + all.Bytes / tokens * token, all.Type, all.RowCount / tokens * count, all.Cols),
        AttentionOp.Sequences or AttentionOp.Positions => Tensor.Packed(all.Memory!, all.Offset + token * 4, DType.I32, 1, count),
        AttentionOp.Count => Tensor.None,
        _ => all,
    };
}
