using System.Runtime.InteropServices;
using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>What slices and their merge make together of a row of logits.</summary>
public class CandidatesTests(OpenDevices devices) : IClassFixture<OpenDevices>
{
    const float Nothing = CandidatesOp.Nothing;
    const int Slice = CandidatesOp.SliceIds, Kept = CandidatesOp.Kept;

    public static TheoryData<string> Devices => TestDevices.Complete;

    sealed record Row(int[] Ids, float[] Logits, float[] Raw, float[] Stats);

    static readonly (int, float, float)[] none = [];

    /// <summary>Both calls over rows of logits, whose sets of rules are given: an allowed set of ids (null: no mask) and edits.</summary>
    Row[] Run(string device, float[][] rows, int[] setOfRow,
        params ReadOnlySpan<(Func<int, bool>? Allowed, (int Id, float Subtract, float Divide)[] Edits)> sets)
    {
        int vocabulary = rows[0].Length, slices = CandidatesOp.Slices(vocabulary), words = CandidatesOp.MaskWords(vocabulary), most = 1;
        foreach (var set in sets) most = Math.Max(most, set.Edits.Length);
        int[] masks = new int[sets.Length * words], edits = new int[sets.Length * 3 * most], rules = new int[3 * rows.Length];
        for (int s = 0; s < sets.Length; s++)
        {
            for (int id = 0; id < vocabulary; id++)
                if (sets[s].Allowed is { } allowed && allowed(id)) masks[s * words + id / 32] |= 1 << id;
            for (int i = 0; i < sets[s].Edits.Length; i++)
            {
                var (id, subtract, divide) = sets[s].Edits[i];
                int[] numbers = [id, BitConverter.SingleToInt32Bits(subtract), BitConverter.SingleToInt32Bits(divide)];
                numbers.CopyTo(edits, 3 * (s * most + i));
            }
        }
        for (int r = 0; r < rows.Length; r++)
        {
            int set = rules[3 * r] = setOfRow[r];
            if (set >= 0) (rules[3 * r + 1], rules[3 * r + 2]) = (sets[set].Edits.Length, sets[set].Allowed is null ? 0 : 1);
        }
        var random = new Random(1);
        var logits = Fill.Rows(random, DType.F32, rows.Length, vocabulary);
        var values = MemoryMarshal.Cast<byte, float>(logits.Bytes.AsSpan());
        for (int r = 0; r < rows.Length; r++) rows[r].CopyTo(values[(r * Tile.Pad(vocabulary))..]);
        logits = logits.InOut(0);
        int count = Math.Max(1, sets.Length);
        Operand ofRows = Fill.Ints(rules), ofMasks = Fill.Packed<int>(DType.I32, count, words, sets.Length > 0 ? masks : new int[words]),
            ofEdits = Fill.Packed<int>(DType.I32, count, 3 * most, sets.Length > 0 ? edits : new int[3 * most]);
        Operand sliceBest = Fill.PackedOut(DType.I32, rows.Length, slices * CandidatesOp.BestOfSlice),
            sums = Fill.PackedOut(DType.F32, rows.Length, slices * CandidatesOp.SumsOfSlice, 1e-12), best = Fill.PackedOut(DType.I32, rows.Length, 2 * Kept),
            raw = Fill.PackedOut(DType.F32, rows.Length, Kept), stats = Fill.PackedOut(DType.F32, rows.Length, 4, 1e-12);
        using var run = new OpRun(devices[device], logits, ofRows, ofMasks, ofEdits, sliceBest, sums, best, raw, stats);
        run.Run((gpu, t) =>
        {
            gpu.Candidates(t(logits), vocabulary, t(ofRows), t(ofMasks), t(ofEdits), t(sliceBest), t(sums), Tensor.None);
            gpu.MergeCandidates(t(sliceBest), t(sums), t(best), t(raw), t(stats), Tensor.None);
        });
        int[] bests = [.. MemoryMarshal.Cast<byte, int>(run.Read(best))];
        float[] raws = [.. MemoryMarshal.Cast<byte, float>(run.Read(raw))], all = [.. MemoryMarshal.Cast<byte, float>(run.Read(stats))];
        return [.. bests.Chunk(2 * Kept).Select((b, r) => new Row([.. b.Where((_, i) => i % 2 == 0)],
            [.. b.Where((_, i) => i % 2 == 1).Select(BitConverter.Int32BitsToSingle)], raws[(r * Kept)..(r * Kept + Kept)], all[(4 * r)..(4 * r + 4)]))];
    }

    static float[] Numbers(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() * 40 - 20))];
    }

    static double LogSumExp(IEnumerable<float> values) => Math.Log(values.Sum(v => Math.Exp((double)v)));

    /// <summary>What a row gives, by the definition over all of it at once.</summary>
    static void Check(Row row, float[] raw, float[] edited)
    {
        int[] order = [.. Enumerable.Range(0, raw.Length).Where(i => edited[i] > Nothing).OrderByDescending(i => edited[i]).ThenBy(i => i).Take(Kept)];
        Assert.Equal(order, row.Ids.TakeWhile(id => id >= 0));
        Assert.All(row.Ids[order.Length..], id => Assert.Equal(-1, id));
        Assert.Equal(order.Select(i => edited[i]), row.Logits[..order.Length]);
        Assert.Equal(order.Select(i => raw[i]), row.Raw[..order.Length]);
        Assert.Equal(raw.Max(), row.Stats[0]);
        Assert.Equal(LogSumExp(raw), row.Stats[1], 1e-5);
        Assert.Equal(edited.Max(), row.Stats[2]);
        Assert.Equal(order.Length == 0 ? Nothing : LogSumExp(edited.Where(v => v > Nothing)), row.Stats[3], 1e-5);
    }

    [Theory, MemberData(nameof(Devices))]
    public void Slices_make_a_row_at_every_size_of_the_last(string device)
    {
        foreach (int vocabulary in new[] { 1, 31, 64, 2047, 2048, 2049, 2080, 4095, 4096, 4097, 6151 })
        {
            float[] logits = Numbers(vocabulary, vocabulary);
            Check(Run(device, [logits], [-1])[0], logits, logits);
        }
    }

    [Theory, MemberData(nameof(Devices))]
    public void Ties_across_slices_go_to_the_lower_ids(string device)
    {
        float[] equal = new float[3 * Slice + 10], zeros = [.. equal.Select((_, i) => i % 2 == 0 ? 0f : -0f)],
            few = [.. equal.Select((_, i) => i % 97 == 5 ? 7f : 1f)];
        foreach (int id in new[] { 3, Slice - 1, Slice, 2 * Slice - 1, 2 * Slice, 3 * Slice, 3 * Slice + 9 }) equal[id] = 2;
        var rows = Run(device, [equal, zeros, few], [-1, -1, -1]);
        Check(rows[0], equal, equal);
        Check(rows[1], zeros, zeros);
        Check(rows[2], few, few);
        Assert.Equal([3, Slice - 1, Slice, 2 * Slice - 1, 2 * Slice, 3 * Slice, 3 * Slice + 9, 0, 1, 2, 4], rows[0].Ids[..11]);
    }

    [Theory, MemberData(nameof(Devices))]
    public void Masks_penalties_and_biases_are_those_of_the_rows_set(string device)
    {
        const int Vocabulary = 2 * Slice + 77;
        float[] a = Numbers(1, Vocabulary), b = Numbers(2, Vocabulary), c = Numbers(3, Vocabulary);
        // More edits than the sampler's old bound of 2048; some in every slice.
        var penalties = Enumerable.Range(0, 3000).Select(i => (Id: i * 7 % Vocabulary, Subtract: i % 3 * 0.5f, Divide: 1 + i % 2 * 0.5f)).ToArray();
        (int, float, float)[] biases = [(5, -300, 1), (Slice, -200, 1), (Vocabulary - 1, -100, 1), (7, 3e38f, 1), (Vocabulary + 3, -500, 1), (-1, -500, 1)];
        bool Allowed(int id) => id % 3 != 0 || id == Slice;
        var rows = Run(device, [a, b, c, a, b], [0, 1, 1, -1, 2], (null, penalties), (Allowed, biases), (_ => true, none));
        Check(rows[0], a, Edited(a, _ => true, penalties));
        Check(rows[1], b, Edited(b, Allowed, biases));
        Check(rows[2], c, Edited(c, Allowed, biases));
        Check(rows[3], a, a);
        Check(rows[4], b, b);
        Assert.Equal([5, Slice, Vocabulary - 1], rows[1].Ids[..3]);
        Assert.DoesNotContain(7, rows[1].Ids);
    }

    static float[] Edited(float[] raw, Func<int, bool> allowed, (int Id, float Subtract, float Divide)[] edits)
    {
        float[] edited = [.. raw.Select((l, id) => allowed(id) ? l : Nothing)];
        foreach (var (id, subtract, divide) in edits)
            if ((uint)id < edited.Length && edited[id] > Nothing)
                edited[id] = Math.Clamp((raw[id] > 0 ? raw[id] / divide : raw[id] * divide) - subtract, Nothing, -Nothing);
        return edited;
    }

    [Theory, MemberData(nameof(Devices))]
    public void Where_nothing_is_allowed_there_are_no_candidates(string device)
    {
        float[] logits = Numbers(4, Slice + 100);
        Check(Run(device, [logits], [0], (_ => false, none))[0], logits, [.. logits.Select(_ => Nothing)]);
        Check(Run(device, [logits], [0], (id => id == Slice + 3, none))[0], logits, [.. logits.Select((l, id) => id == Slice + 3 ? l : Nothing)]);
    }

    [Theory, MemberData(nameof(Devices))]
    public void A_logit_that_is_not_finite_shows_wherever_it_lies(string device)
    {
        foreach (float broken in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity })
            foreach (int id in new[] { 0, 100, Slice - 1, Slice, 2 * Slice + 6 })
            {
                float[] logits = Numbers(5, 2 * Slice + 7), whole = Numbers(6, 2 * Slice + 7);
                logits[id] = broken;
                // also where it is masked
                var rows = Run(device, [logits, whole, logits], [-1, -1, 0], (i => i != id, none));
                foreach (var row in new[] { rows[0], rows[2] })
                {
                    Assert.All(row.Stats, v => Assert.True(float.IsNaN(v)));
                    Assert.All(row.Ids, i => Assert.Equal(-1, i));
                }
                Check(rows[1], whole, whole);
            }
    }
}
