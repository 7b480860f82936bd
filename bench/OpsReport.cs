using System.Text.Json;
using Tessera.Runtime.Devices;
using Tessera.Runtime.Files;
using Tessera.Runtime.Models;
using Tessera.Shaders;

namespace Tessera.Bench;

/// <summary>Times every op of the catalogue: its cases at the shapes of a small, a large and a sparse model, decode and prefill.</summary>
static class OpsReport
{
    public sealed record Request(string? Device, string DType, Numerics Numerics, string? Kv, string? Op, int Runs, int Threads, bool Json);

    sealed record Row(string Op, string Shape, string Types, double Seconds, double Bytes, double Flops, double Peak);

    static readonly string[] models = ["qwen3-0.6b", "qwen3-8b", "qwen3-30b-a3b"];

    public static int Run(Request r)
    {
        IlgpuDevices.Register();
        string names = string.Join(", ", OpCatalog.All.Select(o => o.Name));
        Op[] ops = [.. OpCatalog.All.Where(o => r.Op is null || o.Name.Equals(r.Op, StringComparison.OrdinalIgnoreCase))];
        if (ops.Length == 0) throw new TesseraException($"--op {r.Op}: expected {names}");
        using var device = DeviceCatalog.Open(r.Device, r.Threads);
        var weights = SegmentTypes.Panels(r.DType)!.Value;
        var types = new StepTypes(weights, r.Numerics.ActivationFor(weights), r.Kv is null ? r.Numerics.Cache() : SegmentTypes.Panels(r.Kv)!.Value);
        double bandwidth = device.MeasureBandwidth();
        var peaks = Rulers.Peaks(device);
        double PeakOf(DType type) => peaks.FirstOrDefault(p => p.Type == type).PerSecond;
        if (!r.Json)
        {
            Console.WriteLine($"# {device.Name} ({device.Description}) · {r.Numerics.ToString().ToLowerInvariant()} · reads {bandwidth / 1e9:F1} GB/s"
                + string.Concat(peaks.Select(p => $" · {p.PerSecond / 1e9:F0} Gop/s in {p.Arithmetic}")));
            Console.WriteLine($"{"op",-12} {"shape",-42} {"type",-11} {"µs",11} {"GB/s",8} {"% read",7} {"Gop/s",9} {"% peak",7}");
        }
        var rows = new List<Row>();
        foreach (var op in ops)
            foreach (var one in models.SelectMany(m => op.Cases.Timing(Shape(Synthetic.Shapes[m]), types)).DistinctBy(c => c.Name))
            {
                if (Time(device, op, one, r.Runs, PeakOf) is not { } row) continue;
                rows.Add(row);
                if (!r.Json) Console.WriteLine(Line(row, bandwidth));
            }
        if (r.Json) Console.WriteLine(Json(rows, device, r.Numerics, bandwidth));
        return 0;
    }

    static Row? Time(IDevice device, Op op, OpCase one, int runs, Func<DType, double> peak)
    {
        try
        {
            using var buffers = new OpBuffers(device, one);
            double seconds = OpTimer.Seconds(device, buffers.Launches, Math.Max(3, runs));
            bool integer = buffers.Call.Tensors.Zip(op.Kernel.Bindings, (t, use) => t.Type == DType.A8 && use.EndsWith(":in", StringComparison.Ordinal))
                .Any(a => a);
            return new(op.Name, one.Shape, one.Types, seconds, buffers.Call.Bytes(one.Work), buffers.Call.Flops(one.Work),
                peak(integer ? DType.I32 : DType.F32));
        }
        catch (TesseraException e) when (e is not DeviceLostException)
        {
            Console.Error.WriteLine($"{op.Name} {one.Name}: passed over: {e.Message}");
            return null;
        }
    }

    static ModelShape Shape(Qwen3Config c) => c.Moe is { } moe
        ? new(c.Hidden, c.Heads, c.KvHeads, c.HeadDim, moe.Ffn, c.Vocabulary, moe.Experts, moe.Active)
        : new(c.Hidden, c.Heads, c.KvHeads, c.HeadDim, c.Ffn, c.Vocabulary);

    static string Line(Row row, double bandwidth)
    {
        string arithmetic = row.Flops == 0 ? "" : $"{row.Flops / row.Seconds / 1e9,9:F1} {Percent(row.Flops, row.Peak * row.Seconds),7}";
        string memory = $"{row.Bytes / row.Seconds / 1e9,8:F1} {Percent(row.Bytes, bandwidth * row.Seconds),7}";
        return $"{row.Op,-12} {row.Shape,-42} {row.Types,-11} {row.Seconds * 1e6,11:F2} {memory} {arithmetic}".TrimEnd();
    }

    static string Percent(double of, double limit) => limit > 0 ? $"{100 * of / limit:F0}" : "-";

    /// <summary>One line, one object for each row.</summary>
    static string Json(List<Row> rows, IDevice device, Numerics numerics, double bandwidth)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartArray();
            foreach (var row in rows)
            {
                json.WriteStartObject();
                json.WriteString("op", row.Op);
                json.WriteString("shape", row.Shape);
                json.WriteString("types", row.Types);
                json.WriteString("device", $"{device.Name} ({device.Description})");
                json.WriteString("numerics", numerics.ToString().ToLowerInvariant());
                json.WriteNumber("us", Math.Round(row.Seconds * 1e6, 3));
                json.WriteNumber("gbps", Math.Round(row.Bytes / row.Seconds / 1e9, 3));
                json.WriteNumber("measured_gbps", Math.Round(bandwidth / 1e9, 2));
                json.WriteNumber("gops", Math.Round(row.Flops / row.Seconds / 1e9, 3));
                json.WriteNumber("measured_gops", Math.Round(row.Peak / 1e9, 2));
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }
}
