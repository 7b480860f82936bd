using System.CommandLine;
using Tessera;
using Tessera.Chat;
using Tessera.Tools;

var prompt = new Argument<string?>("prompt") { Description = "what to answer; without it a chat begins", Arity = ArgumentArity.ZeroOrOne };
var model = new Option<string?>("--model") { Description = "a .tessera file; without it the small model that comes along" };
var device = new Option<string?>("--device") { Description = "host, vulkan:N, cuda:N, opencl:N or reference; without it the best that can run the model" };
var noThink = new Option<bool>("--no-think") { Description = "answer without thinking" };
var maxTokens = new Option<int>("--max-tokens") { Description = "the most tokens to generate; 0: until the context is full" }.Within(0);
var temperature = new Option<float?>("--temperature") { Description = "0: always the most probable token; without it the model's own" }.Within(0, 100);
var seed = new Option<int?>("--seed") { Description = "the same seed gives the same answer on one device" }.Within(0);
var numerics = new Option<string>("--numerics") { Description = "exact or fast", DefaultValueFactory = _ => "fast" };
numerics.AcceptOnlyFromAmong("exact", "fast");
var kv = new Option<string?>("--kv") { Description = "type of keys and values in the cache: f32, f16 or q8; without it f16, in exact f32" };
kv.AcceptOnlyFromAmong("f32", "f16", "q8");
var context = new Option<int>("--context") { Description = "tokens of prompt and answers together; 0: up to 8192, what fits" }.Within(0);
var system = new Option<string?>("--system") { Description = "a system message" };

var root = new RootCommand("Talks to a Qwen3 model on this machine.")
{
    prompt, model, device, noThink, maxTokens, temperature, seed, numerics, kv, context, system,
};
root.SetAction(parsed => Cli.Guard(stop =>
{
    string file = parsed.GetValue(model) ?? Path.Combine(AppContext.BaseDirectory, "numbers-dense.tessera");
    IlgpuDevices.Register();
    using var engine = Load(file, new EngineOptions
    {
        Device = parsed.GetValue(device),
        Numerics = parsed.GetValue(numerics) == "exact" ? Numerics.Exact : Numerics.Fast,
        Cache = parsed.GetValue(kv) is { } cache ? Enum.Parse<CacheType>(cache, ignoreCase: true) : null,
        Context = parsed.GetValue(context),
        OnStatus = line => Console.Error.WriteLine(line),
    }, stop);
    if (!engine.CanChat) throw new TesseraException(
        $"{file}: holds no tokenizer or no chat template, so that it cannot answer; convert the folder with tokenizer.json and its template");
    var options = new GenerationOptions
    {
        MaxTokens = parsed.GetValue(maxTokens),
        Thinking = parsed.GetValue(noThink) ? false : null,
        Sampling = new SamplingOptions { Temperature = parsed.GetValue(temperature), Seed = parsed.GetValue(seed) },
    };
    var conversation = new Conversation(engine, options, parsed.GetValue(system));
    if (parsed.GetValue(prompt) is not { } once) return Interactive.Run(conversation, stop);
    conversation.Answer(once, stop).GetAwaiter().GetResult();
    return stop.IsCancellationRequested ? 1 : 0;
}));
return Cli.Run(root, args);

static Engine Load(string file, EngineOptions options, CancellationToken stop)
{
    using var progress = new LoadLine();
    return Engine.Load(file, options with { OnProgress = progress.Show }, stop);
}
