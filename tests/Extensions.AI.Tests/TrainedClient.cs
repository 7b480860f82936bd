using Microsoft.Extensions.AI;

namespace Tessera.Extensions.AI.Tests;

/// <summary>The small trained model on the host, loaded once for the tests of a class.</summary>
public sealed class TrainedClient : IDisposable
{
    public const string Question = "Write 4217 in French.", Answer = "quatre mille deux cent dix-sept";

    public Engine Engine { get; } = Engine.Load(ScriptedEngine.ModelPath, new EngineOptions { Device = "host" });

    public TesseraChatClient Client => new(Engine);

    /// <summary>Greedy, without thinking.</summary>
    public static ChatOptions Plain(params AITool[] tools) => new()
    {
        Temperature = 0, Reasoning = new() { Effort = ReasoningEffort.None }, Tools = tools.Length > 0 ? tools : null,
    };

    /// <summary>What the model was trained to call.</summary>
    public static AIFunction Spell(Func<int, string, string> spelled) =>
        AIFunctionFactory.Create((int number, string language) => spelled(number, language), "spell_number", "Spell a number in words.");

    public void Dispose() => Engine.Dispose();
}
