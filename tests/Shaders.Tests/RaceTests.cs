using Tessera.Runtime.Devices;
using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>A race shows as an answer that moves: each op with shared memory runs many times beside others, and every run must give the bits of the first.</summary>
public class RaceTests
{
    public static TheoryData<string> Devices => TestDevices.Complete;

    [Theory, MemberData(nameof(Devices))]
    public void The_same_bits_every_time(string device) => Run(TestDevices.Open(device), repeats: 40);

    [Fact]
    public void The_same_bits_with_any_number_of_threads()
    {
        byte[][] one = Run(TestDevices.Open("host", threads: 1), repeats: 1);
        foreach (int threads in new[] { 2, 3, 5, 8 }) Assert.Equal(one, Run(TestDevices.Open("host", threads), repeats: 5)); // other orders, other pieces
    }

    static byte[][] Run(IDevice device, int repeats)
    {
        const int Tokens = 17, Dim = 160, Ffn = 100, Heads = 4, KvHeads = 2, HeadDim = 64, Experts = 7, Active = 3, Vocabulary = 3000, Pairs = Tokens * Active;
        var random = new Random(2);
        Operand x = Operand.Rows(random, DType.F32, Tokens, Dim, spread: 2), norm = Operand.PackedRandom(random, 1, Dim), normed = Operand.Out(DType.A8, Tokens, Dim);
        Operand w = Operand.Weights(random, DType.Q8, 200, Dim), y = Operand.Out(DType.F32, Tokens, 200), gateUp = Operand.Weights(random, DType.Q8, GateUpOp.JoinedRows(Ffn), Dim), gated = Operand.Out(DType.A8, Tokens, Ffn);
        Operand router = Operand.Weights(random, DType.F32, Experts, Dim), ids = Out(DType.I32, Tokens, Active), shares = Out(DType.F32, Tokens, Active), order = Out(DType.I32, 1, Pairs), groups = Out(DType.I32, 1, GroupOp.Size(Pairs, Experts));
        Operand experts = Operand.Experts([.. Enumerable.Range(0, Experts).SelectMany(_ => Operand.Weights(random, DType.Q8, GateUpOp.JoinedRows(Ffn), Dim).Bytes)], DType.Q8, Experts, GateUpOp.JoinedRows(Ffn), Dim), expertGated = Operand.Out(DType.A8, Pairs, Ffn);
        Operand logits = Operand.InOut(Operand.Rows(random, DType.F32, Tokens, Vocabulary, spread: 9)), best = Out(DType.I32, Tokens, 2 * CandidatesOp.Kept), stats = Out(DType.F32, Tokens, 2), edits = Operand.Packed<int>(DType.I32, Tokens, 0, []);
        int[] sequence = new int[Tokens], positions = [.. Enumerable.Range(0, Tokens).Select(i => 30 + i)], table = [3, 0, 2];
        Operand q = Operand.Rows(random, DType.F32, Tokens, (Heads + 2 * KvHeads) * HeadDim), keys = Cache(random, KvHeads, HeadDim), values = Cache(random, KvHeads, HeadDim), attended = Operand.Out(DType.A8, Tokens, Heads * HeadDim);
        Operand blocks = Operand.Packed<int>(DType.I32, 1, 3, table), sequences = Operand.Ints(sequence), places = Operand.Ints(positions);
        Operand[] outputs = [normed, y, gated, ids, shares, order, expertGated, best, stats, attended];
        using var run = new OpRun(device, x, norm, normed, w, y, gateUp, gated, router, ids, shares, order, groups, experts, expertGated, logits, best, stats, edits, q, keys, values, attended, blocks, sequences, places);
        run.Run((gpu, t) =>
        {
            gpu.Router(t(x), t(norm), t(router), t(normed), t(ids), t(shares), 1e-6f, true, Tensor.None);
            gpu.MatMul(t(w), t(normed), t(y), Tensor.None, Tensor.None);
            gpu.GateUp(t(gateUp), t(normed), t(gated), Tensor.None);
            gpu.Group(t(ids), t(order), t(groups), Experts, Tensor.None);
            gpu.ExpertGateUp(t(experts), t(normed), t(order), t(groups), t(expertGated));
            gpu.Attention(t(q), t(keys), t(values), t(blocks), t(sequences), t(places), t(attended), Heads, KvHeads, 0.125f, Tensor.None);
            gpu.Candidates(t(logits), Vocabulary - 5, Tensor.None, t(edits), Tensor.None, t(best), t(stats), Tensor.None);
        });
        byte[][] first = [.. outputs.Select(run.Read)];
        for (int i = 0; i < repeats; i++)
        {
            foreach (var output in outputs) run.Write(output, output.Bytes); // poison again
            run.Replay();
            for (int o = 0; o < outputs.Length; o++) Assert.Equal(first[o], run.Read(outputs[o]));
        }
        return first;
    }

    static Operand Out(DType type, int rows, int cols) => Operand.Packed<int>(type, rows, cols, Enumerable.Repeat(-1, rows * cols).ToArray(), output: true);

    static Operand Cache(Random random, int kvHeads, int headDim) =>
        Operand.Packed<float>(DType.F32, 4 * kvHeads * KvBlock.Tokens, headDim, [.. Enumerable.Range(0, 4 * kvHeads * KvBlock.Tokens * headDim).Select(_ => (float)random.NextDouble() - 0.5f)]);
}
