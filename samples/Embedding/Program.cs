// Tessera inside a .NET program: load a model, ask, print the answer as it comes.
// Arguments, all optional: the model's file (without it the small one that lies beside the program), the question, the device.
using System.Globalization;
using Tessera;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
string model = args.Length > 0 ? args[0] : Path.Combine(AppContext.BaseDirectory, "numbers-dense.tessera");
string question = args.Length > 1 ? args[1] : "Write 4217 in French.";
string? device = args.Length > 2 ? args[2] : null; // null: the first that can hold the model; Vulkan's GPUs are among them
try
{
    using var engine = Engine.Load(model, new EngineOptions { Device = device });
    await foreach (var update in engine.Generate(question, new GenerationOptions { MaxTokens = 500 }))
    {
        if (!update.Thinking) Console.Write(update.Text);
        if (update.Report is { } report) Console.WriteLine($"\n{engine.DeviceName}: {report.Tokens} tokens, {report.TokensPerSecond:F0} tok/s");
    }
    return 0;
}
catch (TesseraException e)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
