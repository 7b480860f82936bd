// Tessera inside a .NET program: load a model, ask, print the answer as it comes.
using System.Globalization;
using Tessera;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
string model = args.Length > 0 ? args[0] : "models/numbers-dense.tessera", question = args.Length > 1 ? args[1] : "Write 4217 in French.";
try
{
    using var engine = Engine.Load(model); // maps the file; the best device that this program registered, here the host
    await foreach (var update in engine.Generate(question, new GenerationOptions { MaxTokens = 500 }))
        if (!update.Thinking) Console.Write(update.Text);
    Console.WriteLine($"\n{engine.Device.Name}: {engine.LastReport!.Tokens} tokens, {engine.LastReport.TokensPerSecond:F0} tok/s");
    return 0;
}
catch (TesseraException e)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
