using Tessera.Runtime.Files;
using Tessera.Tools;

namespace Tessera.Convert;

/// <summary>Lists what is inside a tiled file.</summary>
static class Inspect
{
    public static int Print(string path)
    {
        using var file = TiledFile.Open(path);
        var (index, c, g) = (file.Index, file.Index.Config, file.Index.Generation);
        Console.WriteLine($"{index.Name}: {index.Architecture}, {Cli.Size(file.Bytes)}, {index.Segments.Count} segments");
        Console.WriteLine(
            $"  hidden {c.Hidden}, {c.Layers} layers, {c.Heads}/{c.KvHeads} heads of {c.HeadDim}, feed-forward {c.Ffn}, vocabulary {c.Vocabulary}, head "
            + $"{(c.Tied ? "tied" : "of its own")}, {c.Context} positions");
        if (c.Moe is { } moe) Console.WriteLine(
            $"  {moe.Experts} experts of {moe.Ffn}, {moe.Active} a token{(moe.Renormalise ? ", renormalised" : "")}, in "
            + $"{Enumerable.Range(0, c.Layers).Count(c.IsMoe)} layers");
        Console.WriteLine(
            $"  rope theta {c.Rope.Theta}{(c.Rope.Yarn is { } y ? $", YaRN factor {y.Factor} over {y.Original?.ToString() ?? "all"} positions" : "")}, eps "
            + $"{c.Eps}{(c.AttentionBias ? ", attention bias" : "")}");
        string drawing = g.DoSample
            ? $"temperature {g.Temperature}, top-k {g.TopK}, top-p {g.TopP}, min-p {g.MinP}, repetition penalty {g.RepetitionPenalty}" : "greedy";
        Console.WriteLine($"  generation: {drawing}, ends on {string.Join(", ", g.EndIds)}");
        Console.WriteLine(
            $"  text: {(file.Has("tokenizer") ? "tokenizer" : "no tokenizer")}, {(file.Has("chat_template") ? "chat template" : "no chat template")}");
        int width = index.Segments.Select(s => s.Name.Length).DefaultIfEmpty().Max();
        foreach (var s in index.Segments)
            Console.WriteLine(
                $"  {s.Name.PadRight(width)}  {s.Type,-6}  {$"{(s.Experts is { } n ? $"{n} x " : "")}({s.Rows}, {s.Cols})",-20}  {Cli.Size(s.Bytes),10}  at "
                + $"{s.Offset,12}  {s.Hash}");
        return 0;
    }
}
