using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Tessera.Runtime.Files;

namespace Tessera.Bench;

/// <summary>What those see who share an engine: a line for each setting, of a table or of JSON.</summary>
static class ServeReport
{
    /// <summary>A figure, named in JSON and in the table.</summary>
    readonly record struct Cell(string Name, string Head, double? Value, int Digits = 1);

    public static int Run(ServeRequest r, CancellationToken stop)
    {
        r.Check();
        IlgpuDevices.Register();
        var options = r.EngineOptions();
        using var picture = r.Svg is null ? null : new PartialFile(r.Svg); // what cannot be written is told at once
        using var engine = r.Model is not null ? Engine.Load(r.Model, options, stop)
            : new Engine(Model.OfShape(r.Synthetic!, SegmentTypes.Panels(r.DType) ?? DType.F32, options), options);
        var load = new ServeLoad(engine, r, stop);
        if (!r.Json)
            Console.WriteLine($"# {engine.Info.Name} {engine.WeightType.Name()} {engine.Numerics.ToString().ToLowerInvariant()} on {engine.DeviceName} "
                + $"({engine.DeviceDescription}) · prompts of {r.Prefill} · answers of {r.Decode} tokens · {What(r)}");
        var points = Measure(engine, load, r).GetAwaiter().GetResult();
        if (picture is null) return 0;
        string title = $"{engine.Info.Name} {engine.WeightType.Name()} on {engine.DeviceName} ({engine.DeviceDescription}), {DateTime.Now:yyyy-MM-dd}";
        string subtitle = $"Prompts of {r.Prefill} tokens, answers of {r.Decode}; {What(r)}.";
        RandomAccess.Write(picture.Handle, Encoding.UTF8.GetBytes(ServePlot.Of(title, subtitle, points)), 0);
        picture.Finish();
        return 0;
    }

    static string What(ServeRequest r) => string.Create(CultureInfo.InvariantCulture, $"{r switch
    {
        { Rate: { } rate } => $"{r.Requests} requests, {rate} arrive a second",
        { Arrive: { } tokens } => $"while prompts of {tokens} arrive",
        { Shared: { } tokens } => $"behind the same {tokens}",
        _ => "each stream asks again once it is answered",
    }}");

    /// <returns>Of a closed loop: what was measured, a point for each setting.</returns>
    static async Task<List<ServePlot.Point>> Measure(Engine engine, ServeLoad load, ServeRequest r)
    {
        var points = new List<ServePlot.Point>();
        bool headed = false;
        foreach (int streams in r.Shared is null ? r.Streams : [1])
        {
            Cell[] cells = [new("streams", "streams", streams, 0), .. await Setting(load, r, streams, points)];
            if (r.Json)
            {
                Console.WriteLine(Json(engine, r, cells));
                continue;
            }
            if (!headed) Console.WriteLine(string.Join("  ", cells.Select(c => c.Head)));
            headed = true;
            Console.WriteLine(string.Join("  ", cells.Select(c => Text(c).PadLeft(c.Head.Length))));
        }
        return points;
    }

    static async Task<IEnumerable<Cell>> Setting(ServeLoad load, ServeRequest r, int streams, List<ServePlot.Point> points)
    {
        await load.Warm(streams);
        if (r.Rate is { } rate)
        {
            var (figures, met) = await load.Open(rate);
            return
            [
                .. Seen(figures), new("rate", "rate", rate, 2), new("goodput", "goodput", (double)met / r.Requests, 3),
                new("goodput_rps", "  req/s", met / figures.Seconds, 2), new("objective_ttft_ms", "at TTFT ms", r.FirstMs, 0),
                new("objective_tpot_ms", "ms/tok", r.TokenMs, 0),
            ];
        }
        if (r.Arrive is { } arriving)
        {
            var (seen, arrivals) = await load.Arrive(streams, arriving);
            double total = seen.Tps + seen.PromptTps + arrivals.Tps + arrivals.PromptTps;
            return
            [
                .. Seen(seen with { First = arrivals.First, Answers = arrivals.Answers, CachedTokens = seen.CachedTokens + arrivals.CachedTokens }),
                new("total_tps", "prompts and all tok/s", total), new("step_ms", "step ms", r.StepMs, 0),
            ];
        }
        if (r.Shared is { } tokens)
        {
            var (first, behind, cached) = await load.Shared(tokens);
            int computed = await load.ComputedTokens(tokens, ServeRequest.SharedAnswers);
            return
            [
                new("first_ttft_ms", "TTFT ms first", first.Median), new("shared_ttft_ms", "TTFT ms behind it", behind.Median, 2),
                new("ratio", "ratio", behind.Median / first.Median, 4), new("cached_tokens", "cached tokens", cached, 0),
                new("computed_for_answers", $"computed for {ServeRequest.SharedAnswers} answers", computed, 0),
            ];
        }
        double? decode = await load.Together(streams);
        var closed = await load.Closed(streams);
        points.Add(new(streams, closed));
        var cells = Seen(closed).ToList();
        cells.Insert(1, new("decode_tps", "all decode", decode, 2));
        return cells;
    }

    static IEnumerable<Cell> Seen(ServeFigures f) =>
    [
        new("tps", "   tok/s", f.Tps, 2), new("ttft_ms_p50", "TTFT ms p50", f.First.Median), new("ttft_ms_p99", "    p99", f.First.P99),
        new("tpot_ms_p50", "ms/tok p50", f.Token.Median, 2), new("gap_ms_p99", "gap ms p99", f.Gaps.P99), new("gap_ms_max", "    max", f.Gaps.Max),
        new("answers", "answers", f.Answers, 0), new("cached_tokens", "cached tokens", f.CachedTokens, 0),
    ];

    static string Text(Cell cell) => cell.Value is { } value ? value.ToString($"F{cell.Digits}", CultureInfo.InvariantCulture) : "-";

    static string Json(Engine engine, ServeRequest r, Cell[] cells)
    {
        var line = new JsonObject
        {
            ["model"] = engine.Info.Name, ["dtype"] = engine.WeightType.Name(), ["device"] = $"{engine.DeviceName} ({engine.DeviceDescription})",
            ["numerics"] = engine.Numerics.ToString().ToLowerInvariant(), ["pp"] = r.Prefill, ["tg"] = r.Decode,
        };
        foreach (var cell in cells)
            line[cell.Name] = cell.Value is null ? null : JsonValue.Create(decimal.Parse(Text(cell), CultureInfo.InvariantCulture));
        return line.ToJsonString(new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
    }
}
