// Tessera behind Microsoft.Extensions.AI: one registration, and a model that calls a .NET function.
// Arguments, all optional: the model's file (without it the small one that lies beside the program), the question, the device.
using System.ComponentModel;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Tessera;
using Tessera.Extensions.AI;

string model = args.Length > 0 ? args[0] : Path.Combine(AppContext.BaseDirectory, "numbers-dense.tessera");
string question = args.Length > 1 ? args[1] : "How do you say 4217 in French?";
string? device = args.Length > 2 ? args[2] : null; // null: the first that can hold the model
try
{
    var services = new ServiceCollection();
    services.AddTessera(model, new EngineOptions { Device = device }).AddSingleton<Speller>();
    services.AddChatClient(provider => new TesseraChatClient(provider.GetRequiredService<Engine>())).UseFunctionInvocation(); // in place of the bare one
    await using var provider = services.BuildServiceProvider();
    var (client, speller) = (provider.GetRequiredService<IChatClient>(), provider.GetRequiredService<Speller>());
    var options = new ChatOptions
    {
        Temperature = 0, Reasoning = new() { Effort = ReasoningEffort.None }, Tools = [AIFunctionFactory.Create(speller.Spell, "spell_number")],
    };
    await foreach (var update in client.GetStreamingResponseAsync(question, options)) Console.Write(update.Text);
    Console.WriteLine();
    return 0;
}
catch (TesseraException e)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}

/// <summary>What the model calls. It asks the same model, plainly: any number of answers run at once.</summary>
sealed class Speller(Engine engine)
{
    [Description("Spell a number in words.")]
    public async Task<string> Spell(int number, string language)
    {
        Console.WriteLine($"spell_number({number}, {language})");
        var plain = new ChatOptions { Temperature = 0, Reasoning = new() { Effort = ReasoningEffort.None } };
        return (await new TesseraChatClient(engine).GetResponseAsync($"Write {number} in {language}.", plain)).Text;
    }
}
