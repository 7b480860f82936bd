using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

public class AttentionTests
{
    /// <summary>Heads, KV heads, head dimension, and the positions of each sequence's tokens.</summary>
    static readonly (int Heads, int KvHeads, int HeadDim, int[][] Positions)[] Shapes =
    [
        (1, 1, 32, [[0]]),
        (4, 2, 64, [[14], [15], [16]]),
        (16, 8, 128, [[99], [0, 1, 2], [30, 31, 32, 33, 34]]),
        (8, 1, 32, [[16, 17], [47]]),
        (20, 2, 64, [[5, 6, 7], [200]]),
        (16, 8, 128, [[.. Enumerable.Range(5, 21)], [.. Enumerable.Range(126, 5)], [0]]),
        (6, 2, 96, [[.. Enumerable.Range(0, 14)], [14], [15], [16, 17]]), // positions go on where sequences do not
        (4, 1, 256, [[70, 71], [3]]),
        (2, 2, 32, [[.. Enumerable.Range(117, 19)]]),
    ];

    public static TheoryData<string, DType, DType, int> Cases()
    {
        var cases = new TheoryData<string, DType, DType, int>();
        foreach (string device in TestDevices.Names.Select(n => n.Data))
            for (int shape = 0; shape < Shapes.Length; shape++)
                foreach (var kv in new[] { DType.F32, DType.F16, DType.Q8 })
                    foreach (var y in new[] { DType.F32, DType.A8 })
                        if (kv != DType.Q8 || TestDevices.Complete.Any(d => d.Data == device)) cases.Add(device, kv, y, shape);
        return cases;
    }

    [Theory, MemberData(nameof(Cases))]
    public void Attention_equals_the_reference(string device, DType kv, DType yType, int shape)
    {
        var (heads, kvHeads, dim, positions) = Shapes[shape];
        var world = new World(new Random(shape), heads, kvHeads, dim, kv, yType, positions);
        using var run = new OpRun(device, world.All);
        run.Run((gpu, t) => world.Launch(gpu, t)).Check(world.Y, yType == DType.A8 ? 2e-5 : 1e-9);
    }

    [Theory, MemberData(nameof(Cases))]
    public void Replays_give_the_same_bits_and_rows_past_the_count_are_untouched(string device, DType kv, DType yType, int shape)
    {
        var (heads, kvHeads, dim, positions) = Shapes[shape];
        var world = new World(new Random(shape + 50), heads, kvHeads, dim, kv, yType, positions);
        using var run = new OpRun(device, world.All);
        byte[] all = run.Run((gpu, t) => world.Launch(gpu, t)).Read(world.Y);
        Assert.Equal(all, run.Replay(world.Y, world.Y.Bytes).Read(world.Y));
        int tokens = world.Y.RowCount, stride = Rows.Stride(yType, heads * dim);
        for (int some = 0; some < tokens; some++)
        {
            run.Replay(world.Count, BitConverter.GetBytes(0));
            run.Replay(world.Y, world.Y.Bytes);
            byte[] fewer = run.Replay(world.Count, BitConverter.GetBytes(some)).Read(world.Y);
            Assert.Equal(all[..(some * stride)], fewer[..(some * stride)]);
            Assert.All(fewer[(some * stride)..], b => Assert.Equal(Operand.Poison, b));
        }
    }

    /// <summary>The order of sums is fixed by the length of the context: a token that comes alone gets what it got among others, whichever variant makes it.</summary>
    [Theory, MemberData(nameof(Cases))]
    public void A_token_alone_gets_the_bits_it_gets_among_others(string device, DType kv, DType yType, int shape)
    {
        var (heads, kvHeads, dim, positions) = Shapes[shape];
        var world = new World(new Random(shape + 90), heads, kvHeads, dim, kv, yType, positions);
        using var run = new OpRun(device, world.All);
        byte[] all = run.Run((gpu, t) => world.Launch(gpu, t)).Read(world.Y);
        int stride = Rows.Stride(yType, heads * dim);
        for (int token = 0; token < world.Y.RowCount; token++)
        {
            run.Replay(world.Y, world.Y.Bytes);
            byte[] alone = run.Run((gpu, t) => world.LaunchOne(gpu, t, token)).Read(world.Y);
            Assert.Equal(all[(token * stride)..((token + 1) * stride)], alone[(token * stride)..((token + 1) * stride)]);
        }
    }

    /// <summary>Several sequences whose blocks lie scattered in a cache that is otherwise full of NaN.</summary>
    sealed class World
    {
        readonly int heads, kvHeads;

        public World(Random random, int heads, int kvHeads, int dim, DType kv, DType yType, int[][] sequences)
        {
            (this.heads, this.kvHeads) = (heads, kvHeads);
            int maxBlocks = sequences.Max(p => p[^1] / KvBlock.Tokens + 1) + 1, blocks = sequences.Length * maxBlocks + 3, tokens = sequences.Sum(p => p.Length);
            int[] order = [.. Enumerable.Range(0, blocks)];
            random.Shuffle(order);
            var table = new int[sequences.Length * maxBlocks];
            byte[] keys = Enumerable.Repeat(Operand.Poison, (int)KvBlock.Bytes(kv, kvHeads, dim, blocks)).ToArray(), values = [.. keys];
            int next = 0;
            for (int s = 0; s < sequences.Length; s++)
                for (int j = 0; j <= sequences[s][^1]; j++)
                {
                    if (j % KvBlock.Tokens == 0) table[s * maxBlocks + j / KvBlock.Tokens] = order[next++];
                    Store(random, keys, values, kv, kvHeads, dim, table[s * maxBlocks + j / KvBlock.Tokens], j % KvBlock.Tokens);
                }
            Q = Operand.Rows(random, DType.F32, tokens, (heads + 2 * kvHeads) * dim, spread: 3);
            Keys = Operand.Cache(keys, kv, kvHeads, dim, blocks);
            Values = Operand.Cache(values, kv, kvHeads, dim, blocks);
            Blocks = Operand.Packed<int>(DType.I32, sequences.Length, maxBlocks, table);
            Sequences = Operand.Ints([.. sequences.SelectMany((p, s) => Enumerable.Repeat(s, p.Length))]);
            Positions = Operand.Ints([.. sequences.SelectMany(p => p)]);
            Count = Operand.Ints(tokens);
            Y = Operand.Out(yType, tokens, heads * dim);
        }

        public Operand Q { get; }
        public Operand Keys { get; }
        public Operand Values { get; }
        public Operand Blocks { get; }
        public Operand Sequences { get; }
        public Operand Positions { get; }
        public Operand Count { get; }
        public Operand Y { get; }

        public Operand[] All => [Q, Keys, Values, Blocks, Sequences, Positions, Count, Y];

        public void Launch(IRecorder gpu, Func<Operand?, Tensor> t) =>
            gpu.Attention(t(Q), t(Keys), t(Values), t(Blocks), t(Sequences), t(Positions), t(Y), heads, kvHeads, 0.13f, t(Count));

        public void LaunchOne(IRecorder gpu, Func<Operand?, Tensor> t, int token)
        {
            Tensor One(Operand of)
            {
                var all = t(of);
                return all.Type == DType.I32 ? Tensor.Packed(all.Memory!, all.Offset + token * 4, DType.I32, 1, 1)
                    : Tensor.OfRows(all.Memory!, all.Offset + token * (long)Rows.Stride(all.Type, all.Cols), all.Type, 1, all.Cols);
            }
            gpu.Attention(One(Q), t(Keys), t(Values), t(Blocks), One(Sequences), One(Positions), One(Y), heads, kvHeads, 0.13f, Tensor.None);
        }

        static void Store(Random random, byte[] keys, byte[] values, DType kv, int kvHeads, int dim, int block, int token)
        {
            for (int h = 0; h < kvHeads; h++)
                for (int d = 0; d < dim; d++)
                {
                    int at = (int)KvBlock.Offset(kv, kvHeads, dim, block, h);
                    if (kv == DType.Q8 && d % 32 == 0)
                    {
                        Put(keys.AsSpan(at + KvBlock.Tokens * dim + (d / 32 * KvBlock.Tokens + token) * 4), DType.F32, (float)random.NextDouble() / 127);
                        Put(values.AsSpan(at + KvBlock.Tokens * dim + (token * dim / 32 + d / 32) * 4), DType.F32, (float)random.NextDouble() / 127);
                    }
                    Put(keys.AsSpan(at + KvBlock.KeyOffset(kv, token, d)), kv, (float)random.NextDouble() * 2 - 1);
                    Put(values.AsSpan(at + KvBlock.ValueOffset(kv, dim, token, d)), kv, (float)random.NextDouble() * 2 - 1);
                }
        }

        static void Put(Span<byte> at, DType type, float value)
        {
            if (type == DType.Q8) at[0] = (byte)(sbyte)Math.Round(127 * value);
            else if (type == DType.F32) System.Runtime.InteropServices.MemoryMarshal.Write(at, value);
            else System.Runtime.InteropServices.MemoryMarshal.Write(at, (Half)value);
        }
    }
}
