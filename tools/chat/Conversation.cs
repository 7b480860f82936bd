using System.Text;

namespace Tessera.Chat;

/// <summary>
/// The messages so far, and how an answer is shown: on standard output the answer alone (on a terminal its thinking before it, dimmed), on standard error
/// where and how fast it ran.
/// </summary>
sealed class Conversation(Engine engine, GenerationOptions options, string? system)
{
    readonly List<ChatMessage> messages = system is null ? [] : [new ChatMessage("system", system)];

    /// <summary>Thinking on or off; null: as the model's template has it.</summary>
    public bool? Thinking { get; set; } = options.Thinking;

    /// <summary>Of the last answer.</summary>
    public GenerationReport? LastReport { get; private set; }

    public void Forget()
    {
        messages.Clear();
        if (system is not null) messages.Add(new ChatMessage("system", system));
    }

    /// <summary>Writes the messages so far to a file; how many they are.</summary>
    /// <exception cref="TesseraException">It cannot be written.</exception>
    public int Save(string path)
    {
        ConversationFile.Save(path, messages);
        return messages.Count;
    }

    /// <summary>Goes on with the messages of a file, instead of those so far; how many they are.</summary>
    /// <exception cref="TesseraException">It cannot be read, or the model's template cannot show it: the conversation stays as it is.</exception>
    public int Load(string path)
    {
        var loaded = ConversationFile.Load(path);
        try { engine.Template!.Render([.. loaded, new ChatMessage("user", "")], new PromptOptions()); }
        catch (TesseraException e) { throw new TesseraException($"{path}: {e.Message}", e); }
        messages.Clear();
        messages.AddRange(loaded);
        return loaded.Count;
    }

    /// <summary>Answers a question and shows the answer as it comes. Cancelling ends the answer; what was generated stays in the conversation.</summary>
    public async Task Answer(string question, CancellationToken stop)
    {
        messages.Add(new ChatMessage("user", question));
        StringBuilder answer = new(), thoughts = new();
        bool terminal = !Console.IsOutputRedirected, thinking = false;
        bool dims = terminal && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
        try
        {
            await foreach (var update in engine.Generate(messages, options with { Thinking = Thinking }, stop))
            {
                if (update.Report is { } report) LastReport = report;
                (update.Thinking ? thoughts : answer).Append(update.Text);
                if (update.Text.Length == 0) continue;
                if (terminal && update.Thinking != thinking)
                {
                    thinking = update.Thinking;
                    Console.Write($"{(dims ? thinking ? "\u001b[2m" : "\u001b[0m" : "")}{(thinking ? "" : "\n")}");
                }
                if (terminal || !update.Thinking) Console.Write(Shown(update.Text));
            }
        }
        catch
        {
            messages.RemoveAt(messages.Count - 1); // the question was not taken
            throw;
        }
        finally
        {
            if (dims && thinking) Console.Write("\u001b[0m");
        }
        Console.WriteLine();
        messages.Add(new ChatMessage("assistant", answer.ToString()) { Reasoning = thoughts.Length > 0 ? thoughts.ToString() : null });
        Console.Error.WriteLine(RunLine.Of(engine, LastReport!));
    }

    /// <summary>Control characters of an answer must not steer the terminal.</summary>
    static string Shown(string text) => text.AsSpan().ContainsAnyInRange('\0', '\u001f') || text.AsSpan().ContainsAnyInRange('\u007f', '\u009f')
        ? string.Concat(text.Select(c => char.IsControl(c) && c is not ('\n' or '\t') ? '\ufffd' : c)) : text;
}
