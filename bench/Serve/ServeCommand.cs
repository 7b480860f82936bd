using System.CommandLine;
using Tessera.Tools;

namespace Tessera.Bench;

/// <summary>The options of `bench serve` beside those of every model's.</summary>
static class ServeCommand
{
    public static Command Make(Option<string?> device, Option<string?> model, Option<string?> synthetic, Option<string> dtype, Option<string> numerics,
        Option<string?> kv, Option<int> threads)
    {
        const int MaxTokens = 1 << 20;
        const double MaxMs = 1e6;
        var streams = new Option<string>("--streams") { Description = "answers at once, with commas: a setting each; with --rate one number" };
        var pp = new Option<int>("--pp") { Description = "tokens of a prompt", DefaultValueFactory = _ => 64 }.Within(1, MaxTokens);
        var tg = new Option<int>("--tg") { Description = "tokens of an answer", DefaultValueFactory = _ => 32 }.Within(1, MaxTokens);
        var answers = new Option<int>("--answers") { Description = "of each stream that are measured", DefaultValueFactory = _ => 2 }.Within(1, 1000);
        var rate = new Option<double?>("--rate") { Description = "requests a second that arrive at random, whatever runs" }.Within(0.001, MaxMs);
        var requests = new Option<int>("--requests") { Description = "of them, all", DefaultValueFactory = _ => 64 }.Within(1, 100_000);
        var firstMs = new Option<double>("--ttft-ms") { Description = "goodput: to the first token at most", DefaultValueFactory = _ => 1000 }.Within(0, MaxMs);
        var tokenMs = new Option<double>("--tpot-ms") { Description = "goodput: for each token behind it", DefaultValueFactory = _ => 100 }.Within(0, MaxMs);
        var arrive = new Option<int?>("--arrive") { Description = "tokens of prompts that arrive one after the other while streams decode" }
            .Within(1, MaxTokens);
        var shared = new Option<int?>("--shared") { Description = "tokens that prompts begin with, all of them; one after the other" }.Within(1, MaxTokens);
        var stepMs = new Option<double>("--step-ms")
        {
            Description = "milliseconds of a step while answers are generated", DefaultValueFactory = _ => new EngineOptions().StepMilliseconds,
        }.Within(1, MaxMs);
        var json = new Option<bool>("--json") { Description = "a line of JSON for each setting" };
        var svg = new Option<string?>("--svg") { Description = "writes a picture of throughput and latency against streams" };
        var command = new Command("serve", "what those see who share an engine: tok/s, time to the first token, gaps between tokens")
        {
            device, model, synthetic, dtype, numerics, kv, threads, streams, pp, tg, answers, rate, requests, firstMs, tokenMs, arrive, shared, stepMs, json,
            svg,
        };
        command.SetAction(p => Cli.Guard(stop => ServeReport.Run(new ServeRequest(
            p.GetValue(device), p.GetValue(model), p.GetValue(synthetic), p.GetValue(dtype)!,
            p.GetValue(numerics) == "exact" ? Numerics.Exact : Numerics.Fast, p.GetValue(kv), p.GetValue(threads),
            ServeRequest.ParseStreams(p.GetValue(streams) ?? (p.GetValue(rate) is null ? "1,8,32" : "32")), p.GetValue(pp), p.GetValue(tg),
            p.GetValue(answers), p.GetValue(rate), p.GetValue(requests), p.GetValue(firstMs), p.GetValue(tokenMs), p.GetValue(arrive), p.GetValue(shared),
            p.GetValue(stepMs), p.GetValue(json), p.GetValue(svg)), stop)));
        return command;
    }
}
