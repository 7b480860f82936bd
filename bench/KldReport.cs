using System.Globalization;
using System.Text.Json;
using Tessera.Runtime.Files;
using Tessera.Runtime.Models;
using Tessera.Runtime.Tokens;
using Tessera.Shaders;

namespace Tessera.Bench;

/// <summary>
/// What a model loses against another of the same vocabulary, the base, over the same tokens: Kullback-Leibler divergence of the base's distribution from the
/// model's at every position, in nats, over all rows of the head; perplexity of both over the tokens that follow. In double, from F32 logits.
/// </summary>
static class KldReport
{
    const int Chunk = 64, MaxWindow = 8192;

    public sealed record Request(string? Model, string? Against, string? Text, string? TokensFile, string? Device, Numerics Numerics, bool Json);

    public static int Run(Request r, CancellationToken stop)
    {
        if (r.Model is null) throw new TesseraException("--model: expected a .tessera file");
        if (r.Against is null) throw new TesseraException("--against: expected a .tessera file, the base");
        if (r.Text is null == r.TokensFile is null) throw new TesseraException("expected --text FILE or --tokens-file IDS.json");
        IlgpuDevices.Register();
        using TiledFile file = TiledFile.Open(r.Model), baseFile = TiledFile.Open(r.Against);
        Require(file, baseFile);
        int window = Math.Min(MaxWindow, Math.Min(file.Index.Config.Context, baseFile.Index.Config.Context));
        int[][] sequences = r.Text is not null ? [Encoded(r.Text, file)] : Ids(r.TokensFile!, file.Index.Config.Vocabulary);
        int[][] windows = [.. sequences.SelectMany(ids => ids.Chunk(window))];
        int positions = windows.Sum(w => w.Length);
        if (positions == 0) throw new TesseraException($"{r.Text ?? r.TokensFile}: expected at least one token");
        using var device = DeviceCatalog.Open(r.Device);
        int blocks = (windows.Max(w => w.Length) + KvBlock.Tokens - 1) / KvBlock.Tokens;
        var limits = new BatchLimits(Chunk, Chunk, blocks, 1, blocks, 0);
        using LoadedModel loaded = LoadedModel.From(file, device, stop: stop), baseLoaded = LoadedModel.From(baseFile, device, stop: stop);
        using Runner model = Make(loaded, file, r.Numerics), against = Make(baseLoaded, baseFile, Numerics.Exact);
        var sums = new Divergence(file.Index.Config.Vocabulary, positions);
        foreach (int[] ids in windows) Compare(model, against, ids, sums, stop);
        string name = Path.GetFileName(r.Model), baseName = Path.GetFileName(r.Against), on = $"{device.Name} ({device.Description})",
            numerics = r.Numerics.ToString().ToLowerInvariant();
        if (r.Json)
            Console.WriteLine(JsonSerializer.Serialize(new
            {
                model = name, against = baseName, device = on, numerics, positions, ppl_model = sums.ModelPerplexity, ppl_against = sums.BasePerplexity,
                kld_mean = sums.Mean, kld_p99 = sums.Percentile99, same_best = sums.SameBest,
            }));
        else
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"""
                {name} {numerics} against {baseName} exact on {on}: {positions} positions
                KLD mean {sums.Mean:g4} nats, 99th percentile {sums.Percentile99:g4}; the same best token at {100 * sums.SameBest:f1} %
                perplexity {Number(sums.ModelPerplexity)}, of the base {Number(sums.BasePerplexity)}
                """));
        return 0;

        Runner Make(LoadedModel of, TiledFile from, Numerics kind)
        {
            var runner = new Runner(device, from.Index.Config, of.Weights, kind, from.Index.Config.Vocabulary, limits);
            runner.Cache.SetRuns();
            return runner;
        }
    }

    static string Number(double? value) => value is { } v ? v.ToString("f4", CultureInfo.InvariantCulture) : "of no token";

    /// <summary>Distributions can be compared where ids mean the same.</summary>
    static void Require(TiledFile file, TiledFile baseFile)
    {
        int vocabulary = file.Index.Config.Vocabulary, expected = baseFile.Index.Config.Vocabulary;
        if (vocabulary != expected)
            throw new TesseraException($"{file.Path}: expected a vocabulary of {expected}, that of {baseFile.Path}, found {vocabulary}; compare conversions of "
                + "one model");
        const string Name = "tokenizer";
        if (file.Has(Name) && baseFile.Has(Name) && file.Find(Name).Hash != baseFile.Find(Name).Hash)
            throw new TesseraException($"{file.Path}: expected the tokenizer of {baseFile.Path}, found another; compare conversions of one model");
    }

    static void Compare(Runner model, Runner against, int[] ids, Divergence sums, CancellationToken stop)
    {
        for (int at = 0; at < ids.Length; at += Chunk)
        {
            stop.ThrowIfCancellationRequested();
            int count = Math.Min(Chunk, ids.Length - at);
            foreach (var runner in new[] { against, model })
            {
                runner.Batch.Clear();
                for (int i = 0; i < count; i++) runner.Batch.Add(ids[at + i], 0, at + i, wanted: true);
                runner.Run();
            }
            for (int i = 0; i < count; i++) sums.Add(against, model, i, at + i + 1 < ids.Length ? ids[at + i + 1] : null);
        }
    }

    static int[] Encoded(string path, TiledFile file)
    {
        if (!file.Has("tokenizer")) throw new TesseraException($"{file.Path}: holds no tokenizer; use --tokens-file, or convert the model with it");
        return Tokenizer.Unpack(file.Span(file.Find("tokenizer"))).Encode(TextFile.Read(path), added: false);
    }

    /// <summary>Sequences of token ids: [[id, …], …].</summary>
    static int[][] Ids(string path, int vocabulary)
    {
        string text = TextFile.Read(path);
        const string Expected = "expected [[id, ...], ...], found";
        int[][]? sequences;
        try { sequences = JsonSerializer.Deserialize<int[][]>(text); }
        catch (JsonException e) { throw new TesseraException($"{path}: {Expected} something else at {e.Path}, line {e.LineNumber + 1}", e); }
        if (sequences is null || sequences.Contains(null)) throw new TesseraException($"{path}: {Expected} null");
        foreach (int id in sequences.SelectMany(s => s))
            if ((uint)id >= (uint)vocabulary) throw new TesseraException($"{path}: expected ids from 0 to {vocabulary - 1}, found {id}");
        return sequences;
    }
}
