using System.Text;

namespace Tessera.Chat;

/// <summary>The turns so far, and how an answer is shown: thinking dimmed on a terminal and left out of a pipe, then the answer, then where and how fast it ran.</summary>
sealed class Conversation(Engine engine, GenerationOptions options, string? system)
{
    readonly List<ChatMessage> turns = system is null ? [] : [new ChatMessage("system", system)];

    /// <summary>Thinking on or off; null: as the model's template has it.</summary>
    public bool? Thinking { get; set; } = options.Thinking;

    public Engine Engine => engine;

    public void Forget() => turns.RemoveRange(system is null ? 0 : 1, turns.Count - (system is null ? 0 : 1));

    /// <summary>Asks and shows the answer as it comes. Cancelling ends the answer; what was said stays in the conversation.</summary>
    public async Task Ask(string question, CancellationToken stop)
    {
        turns.Add(new ChatMessage("user", question));
        var answer = new StringBuilder();
        bool terminal = !Console.IsOutputRedirected, dimmed = false;
        try
        {
            await foreach (var update in engine.Generate(turns, options with { Thinking = Thinking }, stop))
            {
                if (!update.Thinking) answer.Append(update.Text);
                if (terminal && update.Thinking != dimmed) Console.Write((dimmed = update.Thinking) ? "\u001b[2m" : "\u001b[0m\n");
                if (terminal || !update.Thinking) Console.Write(Shown(update.Text));
            }
        }
        catch
        {
            turns.RemoveAt(turns.Count - 1); // the question was not taken
            throw;
        }
        if (dimmed) Console.Write("\u001b[0m");
        Console.WriteLine();
        turns.Add(new ChatMessage("assistant", answer.ToString()));
        Console.WriteLine(RunLine.Of(engine, engine.LastReport!));
    }

    /// <summary>Control characters of an answer must not steer the terminal.</summary>
    static string Shown(string text) => text.AsSpan().ContainsAnyInRange('\0', '\u001f') || text.AsSpan().ContainsAnyInRange('\u007f', '\u009f')
        ? string.Concat(text.Select(c => char.IsControl(c) && c is not ('\n' or '\t') ? '\ufffd' : c)) : text;
}
