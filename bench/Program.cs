using System.CommandLine;
using Tessera;
using Tessera.Bench;
using Tessera.Runtime.Models;
using Tessera.Shaders;
using Tessera.Tools;

var device = new Option<string?>("--device") { Description = "host, vulkan:N, cuda:N, opencl:N or reference; without it the best" };
var model = new Option<string?>("--model") { Description = "a .tessera file" };
var synthetic = new Option<string?>("--synthetic") { Description = $"random weights of a real shape: {string.Join(", ", Synthetic.Shapes.Keys)}" };
var dtype = new Option<string>("--dtype") { Description = "type of synthetic weights: f32, bf16, f16, q8 or q4", DefaultValueFactory = _ => "q8" };
dtype.AcceptOnlyFromAmong([.. WeightFormat.All.Select(f => f.Name)]);
var numerics = new Option<string>("--numerics") { Description = "exact or fast", DefaultValueFactory = _ => "fast" };
numerics.AcceptOnlyFromAmong("exact", "fast");
var kv = new Option<string?>("--kv") { Description = "type of keys and values in the cache: f32, f16 or q8; without it f16, in exact f32" };
kv.AcceptOnlyFromAmong("f32", "f16", "q8");
var pp = new Option<int>("--pp") { Description = "tokens of prefill", DefaultValueFactory = _ => 256 }.Within(1, 1 << 20);
var tg = new Option<int>("--tg") { Description = "tokens of decode", DefaultValueFactory = _ => 64 }.Within(1, 1 << 20);
var streams = new Option<int>("--streams") { Description = "sequences that decode in one batch", DefaultValueFactory = _ => 1 }.Within(1, 4096);
var depth = new Option<int>("--depth") { Description = "tokens in the cache before measuring", DefaultValueFactory = _ => 0 }.Within(0, 1 << 20);
var runs = new Option<int>("--runs") { Description = "how often each phase is timed", DefaultValueFactory = _ => 3 }.Within(1, 1000);
var threads = new Option<int>("--threads") { Description = "threads of the host; 0: all", DefaultValueFactory = _ => 0 }.Within(0, 1024);
var json = new Option<bool>("--json") { Description = "one line of JSON" };
var tokens = new Option<string>("--tokens") { Description = "token ids, with commas", Required = true };
var op = new Option<string?>("--op") { Description = "one op only" };

var devices = new Command("devices", "every device, why it is usable or not, its measured bandwidth and peak");
devices.SetAction(_ => Cli.Guard(_ => DevicesReport.Run()));
var ops = new Command("ops", "times every op of the catalogue with GB/s, Gop/s and % of the measured limits") { device, dtype, numerics, kv, op, runs, threads,
    json };
ops.SetAction(p => Cli.Guard(_ => OpsReport.Run(new OpsReport.Request(p.GetValue(device), p.GetValue(dtype)!, Parse(p.GetValue(numerics)!), p.GetValue(kv),
    p.GetValue(op), p.GetValue(runs), p.GetValue(threads), p.GetValue(json)))));
var models = new Command("model", "times prefill and decode of a model")
{
    device, model, synthetic, dtype, numerics, kv, pp, tg, streams, depth, runs, threads, json,
};
models.SetAction(p => Cli.Guard(_ => ModelReport.Run(new ModelReport.Request(
    p.GetValue(device), p.GetValue(model), p.GetValue(synthetic), p.GetValue(dtype)!, Parse(p.GetValue(numerics)!), p.GetValue(pp), p.GetValue(tg),
    p.GetValue(streams), p.GetValue(depth), p.GetValue(runs), p.GetValue(threads), p.GetValue(json), p.GetValue(kv)))));
var logits = new Command("logits", "the eight best logits after every token, as one line of JSON") { model, device, tokens, numerics, json };
logits.SetAction(p => Cli.Guard(_ => LogitsReport.Run(p.GetValue(model), p.GetValue(device), p.GetRequiredValue(tokens), Parse(p.GetValue(numerics)!))));

var index = new Option<int>("--index") { Description = "which Vulkan device" }.Within(0);
var paper = new Command("paper", "what the driver's compiler makes of every shader; see bench/paper.sh") { index };
paper.SetAction(p => Cli.Guard(_ => PaperReport.Run(p.GetValue(index))));

var text = new Option<string?>("--text") { Description = "a file of UTF-8; without it a megabyte in many scripts" };
var tokenizer = new Command("tokens", "MB/s of text, encoded to token ids and decoded from them") { model, text, runs, json };
tokenizer.SetAction(p => Cli.Guard(_ => TokensReport.Run(p.GetValue(model), p.GetValue(text), p.GetValue(runs), p.GetValue(json))));

var against = new Option<string?>("--against") { Description = "the base: a .tessera file of the same vocabulary, which runs exact" };
var read = new Option<string?>("--text") { Description = "a file of UTF-8, cut into windows of the context, at most 8192 tokens" };
var tokensFile = new Option<string?>("--tokens-file") { Description = "token ids as JSON, [[id, ...], ...]: a list for each sequence" };
var kld = new Command("kld", "what a model loses against another: KL divergence, perplexity of both, share of equal best tokens")
{
    model, against, read, tokensFile, device, numerics, json,
};
kld.SetAction(p => Cli.Guard(stop => KldReport.Run(new KldReport.Request(p.GetValue(model), p.GetValue(against), p.GetValue(read), p.GetValue(tokensFile),
    p.GetValue(device), Parse(p.GetValue(numerics)!), p.GetValue(json)), stop)));

var rows = new Option<int>("--rows") { Description = "sequences that decode", DefaultValueFactory = _ => 256 }.Within(1, 1024);
var scheduler = new Command("scheduler", "milliseconds that the scheduler takes of a step, the device apart") { rows, runs, json };
scheduler.SetAction(p => Cli.Guard(_ => SchedulerReport.Run(p.GetValue(rows), p.GetValue(runs), p.GetValue(json))));

var root = new RootCommand("Measures Tessera: devices, ops, models, quality, tokens, scheduler, many at once.")
{
    devices, ops, models, logits, kld, paper, tokenizer, scheduler, ServeCommand.Make(device, model, synthetic, dtype, numerics, kv, threads),
};
return Cli.Run(root, args);

static Numerics Parse(string name) => name == "exact" ? Numerics.Exact : Numerics.Fast;
