using System.CommandLine;
using System.Runtime.InteropServices;
using Tessera.Convert;
using Tessera.Runtime.Files;
using Tessera.Shaders;
using Tessera.Tools;

var folder = new Argument<string>("HF_FOLDER") { Description = "folder with config.json, *.safetensors and, for text, tokenizer.json" };
var output = new Option<string>("-o", "--output") { Description = "the .tessera file to write", Required = true };
var dtype = new Option<string?>("--dtype") { Description = "type of the matrices: f32, bf16, f16, q8 or q4; without it the type they have" };
dtype.AcceptOnlyFromAmong([.. WeightFormat.All.Select(f => f.Name)]);
var file = new Argument<string>("FILE") { Description = "a .tessera file" };
var both = new Argument<string[]>(Usage.OptionalFolderAndFile)
{
    Description = "a .tessera file, behind the folder it was made from to compare with",
    Arity = new ArgumentArity(1, 2),
};

var inspect = new Command("inspect", "list what is inside a .tessera file") { file };
inspect.SetAction(parsed => Cli.Guard(_ => Inspect.Print(parsed.GetRequiredValue(file))));
var verify = new Command("verify", "check every byte of a .tessera file, and compare it with the folder it was made from") { both };
verify.SetAction(parsed => Stoppable(stop => Verify.Run(parsed.GetRequiredValue(both), stop)));

var root = new RootCommand("Converts a Qwen3 model from Hugging Face safetensors to the tiled file that Tessera runs.") { folder, output, dtype, inspect,
    verify };
root.SetAction(parsed => Stoppable(stop =>
{
    string to = parsed.GetRequiredValue(output);
    using var model = new HfFolder(parsed.GetRequiredValue(folder));
    List<string> notices = [];
    Progress.Run("converting", model.Bytes, done =>
    {
        var converter = new Converter(model, done, stop);
        converter.Write(to, parsed.GetValue(dtype) is { } name ? SegmentTypes.Panels(name) : null);
        notices = converter.Notices;
    });
    foreach (string notice in notices) Console.Error.WriteLine($"note: {notice}");
    using var made = TiledFile.Open(to);
    var types = made.Index.Segments.Where(s => SegmentTypes.Panels(s.Type) is not null).GroupBy(s => s.Type).OrderByDescending(g => g.Sum(s => s.Bytes));
    Console.WriteLine($"{to}: {Cli.Size(made.Bytes)} from {Cli.Size(model.Bytes)}, {made.Index.Segments.Count} segments, matrices in "
        + string.Join(", ", types.Select(g => g.Key)));
    return 0;
}));
Usage.Set(root);
return Cli.Run(root, args);

// A terminal that closes and a service that is stopped end the work as Ctrl-C does: nothing half written is left.
static int Stoppable(Func<CancellationToken, int> body) => Cli.Guard(interrupted =>
{
    using var stop = CancellationTokenSource.CreateLinkedTokenSource(interrupted);
    void End(PosixSignalContext signal)
    {
        signal.Cancel = true;
        stop.Cancel();
    }
    using PosixSignalRegistration term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End),
        hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, End);
    return body(stop.Token);
});
