using System.Text.Json;
using Tessera.Runtime.Devices;
using Tessera.Runtime.Models;
using Tessera.Shaders;
using Tessera.Tools;

namespace Tessera.Bench;

/// <summary>Times every op of the catalogue at the shapes of qwen3-0.6b, decode and prefill.</summary>
static class OpsReport
{
    sealed record Case(string Op, string Shape, double Bytes, double Flops, Action<IRecorder> Launch);

    public static int Run(string? deviceName, Numerics numerics, string? only, int runs, int threads, bool asJson)
    {
        Devices.Register();
        if (only is not null && OpCatalog.All.All(k => k.Name != only)) throw new TesseraException($"--op {only}: expected {string.Join(", ", OpCatalog.All.Select(k => k.Name))}");
        using var device = DeviceCatalog.Open(deviceName, threads);
        double bandwidth = device.MeasureBandwidth();
        if (!asJson) Console.WriteLine($"# {device.Name} ({device.Description}) · {numerics.ToString().ToLowerInvariant()} · reads {bandwidth / 1e9:F1} GB/s");
        if (!asJson) Console.WriteLine($"{"op",-11} {"shape",-34} {"µs",10} {"GB/s",8} {"% read",7} {"GFLOP/s",9}");
        using var buffers = new OpBuffers(device);
        foreach (var one in Cases(buffers, Synthetic.Shapes["qwen3-0.6b"], numerics))
        {
            if (only is not null && one.Op != only) continue;
            double seconds;
            try { seconds = OpTimer.Seconds(device, [one.Launch], Math.Max(3, runs)); }
            catch (TesseraException e)
            {
                Console.Error.WriteLine($"{one.Op}: passed over: {e.Message}");
                continue;
            }
            if (asJson) Console.WriteLine(Json(one, device, numerics, seconds, bandwidth));
            else Console.WriteLine($"{one.Op,-11} {one.Shape,-34} {seconds * 1e6,10:F2} {one.Bytes / seconds / 1e9,8:F1} {100 * one.Bytes / seconds / bandwidth,7:F0} {one.Flops / seconds / 1e9,9:F1}");
        }
        return 0;
    }

    static IEnumerable<Case> Cases(OpBuffers b, Qwen3Config c, Numerics numerics)
    {
        var none = Tensor.None;
        DType reduced = numerics.ActivationFor(DType.Q8), cache = numerics.Cache();
        int qkvCols = (c.Heads + 2 * c.KvHeads) * c.HeadDim, attended = c.Heads * c.HeadDim, context = 1024, blocks = context / KvBlock.Tokens;
        var table = b.Weights(DType.Q8, 32768, c.Hidden);
        var (gateUp, down, qkvW) = (b.Weights(DType.Q8, GateUpOp.JoinedRows(c.Ffn), c.Hidden), b.Weights(DType.Q8, c.Hidden, c.Ffn), b.Weights(DType.Q8, qkvCols, c.Hidden));
        var exact = b.Weights(DType.BF16, c.Ffn, c.Hidden);
        var (keys, values) = (b.Cache(cache, c.KvHeads, c.HeadDim, blocks), b.Cache(cache, c.KvHeads, c.HeadDim, blocks));
        var (norm, headNorm) = (b.Floats(1, c.Hidden), b.Floats(1, c.HeadDim));
        var blockTable = b.Ints([.. Enumerable.Range(0, blocks)]);
        foreach (int t in (int[])[1, 128])
        {
            Tensor x = b.Rows(DType.F32, t, c.Hidden), h = b.Rows(reduced, t, c.Hidden), f = b.Rows(DType.F32, t, c.Hidden), qkv = b.Rows(DType.F32, t, qkvCols), o = b.Rows(reduced, t, attended), g = b.Rows(reduced, t, c.Ffn), wide = b.Rows(DType.F32, t, c.Ffn);
            Tensor tokens = b.Ints([.. Enumerable.Range(0, t)]), sequences = b.Ints(new int[t]), positions = b.Ints([.. Enumerable.Range(context - t, t)]), slots = positions, rope = b.Floats(t, c.HeadDim);
            yield return new("Embed", $"{t} x {c.Hidden}", t * (c.Hidden * 5.0625), 0, gpu => gpu.Embed(tokens, table, x, none));
            yield return new("RmsNorm", $"{t} x {c.Hidden} -> {reduced.Name()}", x.Bytes + h.Bytes, 4.0 * t * c.Hidden, gpu => gpu.RmsNorm(x, norm, h, 1e-6f, none));
            yield return new("MatMul", $"{t} x {qkvCols} x {c.Hidden} q8 {reduced.Name()}", qkvW.Bytes + h.Bytes + qkv.Bytes, 2.0 * t * qkvCols * c.Hidden, gpu => gpu.MatMul(qkvW, h, qkv, none, none));
            yield return new("MatMul", $"{t} x {c.Hidden} x {c.Ffn} q8 {reduced.Name()} +", down.Bytes + g.Bytes + 2 * x.Bytes, 2.0 * t * c.Ffn * c.Hidden, gpu => gpu.MatMulAdd(down, g, x, none, none));
            yield return new("MatMul", $"{t} x {c.Ffn} x {c.Hidden} bf16 f32", exact.Bytes + f.Bytes + wide.Bytes, 2.0 * t * c.Ffn * c.Hidden, gpu => gpu.MatMul(exact, f, wide, none, none));
            yield return new("QkRope", $"{t} x {c.Heads}+2x{c.KvHeads} heads", 3.0 * qkv.Bytes, 8.0 * t * qkvCols, gpu => gpu.QkRope(qkv, headNorm, headNorm, rope, slots, keys, values, c.Heads, c.KvHeads, 1e-6f, none));
            yield return new("Attention", $"{t} x {c.Heads}/{c.KvHeads} heads, context {context} {cache.Name()}", keys.Bytes + values.Bytes + qkv.Bytes / 2 + o.Bytes, 4.0 * t * c.Heads * c.HeadDim * (context - t / 2),
                gpu => gpu.Attention(qkv, keys, values, blockTable, sequences, positions, o, c.Heads, c.KvHeads, 0.088f, none));
            yield return new("GateUp", $"{t} x 2 x {c.Ffn} x {c.Hidden} q8 {reduced.Name()}", gateUp.Bytes + h.Bytes + g.Bytes, 4.0 * t * c.Ffn * c.Hidden, gpu => gpu.GateUp(gateUp, h, g, none));
        }
        Tensor last = b.Rows(DType.F32, 1, c.Hidden), many = b.Rows(DType.F32, 8, c.Hidden), logits = b.Rows(DType.F32, 1, c.Vocabulary), best = b.Zeros(DType.I32, 1, 2 * CandidatesOp.Kept), stats = b.Zeros(DType.F32, 1, 2), rowIds = b.Ints(3), edits = b.Zeros(DType.I32, 1, 0);
        yield return new("Gather", $"1 of 8 x {c.Hidden}", 8.0 * c.Hidden, 0, gpu => gpu.Gather(many, rowIds, last, none));
        yield return new("Candidates", $"1 x {c.Vocabulary}", 4.0 * c.Vocabulary, 0, gpu => gpu.Candidates(logits, c.Vocabulary, none, edits, none, best, stats, none));
    }

    static string Json(Case one, IDevice device, Numerics numerics, double seconds, double bandwidth)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteString("op", one.Op);
            json.WriteString("shape", one.Shape);
            json.WriteString("device", $"{device.Name} ({device.Description})");
            json.WriteString("numerics", numerics.ToString().ToLowerInvariant());
            json.WriteNumber("us", Math.Round(seconds * 1e6, 3));
            json.WriteNumber("gbps", Math.Round(one.Bytes / seconds / 1e9, 2));
            json.WriteNumber("measured_gbps", Math.Round(bandwidth / 1e9, 2));
            json.WriteNumber("gflops", Math.Round(one.Flops / seconds / 1e9, 2));
            json.WriteEndObject();
        }
        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }
}
