using System.Collections.Concurrent;
using Tessera.Tools;

namespace Tessera.Chat;

/// <summary>
/// A chat in the terminal. Ctrl-C stops the answer; at the prompt it ends the program. Lines are read on a thread of their own: what is typed while an answer
/// runs waits for its turn, and is told so.
/// </summary>
static class Interactive
{
    const string Help = """
        /help      this list
        /new       forget the conversation
        /save FILE write it to a file, as JSON
        /load FILE go on with that of a file
        /think     think before answering
        /no-think  answer at once
        /quit      end (so do Ctrl-D, and Ctrl-C at the prompt)
        Ctrl-C stops an answer. What is typed meanwhile waits, and is answered afterwards.
        """;

    /// <param name="stop">Ends the chat at once, wherever it is.</param>
    public static int Run(Conversation conversation, CancellationToken stop)
    {
        CancellationTokenSource? answering = null;
        void Interrupt()
        {
            if (answering is { } running) running.Cancel();
            else Environment.Exit(0);
        }
        using var stopping = stop.Register(() =>
        {
            if (answering is { } running) running.Cancel();
            else Environment.Exit(1);
        });
        Cli.Interrupt = Interrupt;
        Console.Error.WriteLine("/help lists the commands");
        using var lines = new BlockingCollection<string>();
        var reader = new Thread(() => Read(lines)) { IsBackground = true, Name = "tessera chat input" };
        reader.Start();
        while (!stop.IsCancellationRequested)
        {
            if (!Console.IsInputRedirected && lines.Count == 0) Console.Error.Write("> ");
            if (!lines.TryTake(out string? line, Timeout.Infinite)) return 0;
            if (Reply(conversation, line.Trim()) is { } reply)
            {
                if (reply == Quit) return 0;
                if (reply.Length > 0) Console.Error.WriteLine(reply);
                continue;
            }
            using (answering = new CancellationTokenSource())
            {
                try
                {
                    conversation.Answer(line, answering.Token).GetAwaiter().GetResult();
                    if (conversation.LastReport!.End == EndReason.ContextFull) Console.Error.WriteLine(Full);
                }
                // this answer failed, not the chat
                catch (TesseraException e) { Console.Error.WriteLine(e is ContextFullException ? $"{e.Message}. {Full}" : e.Message); }
                catch (OperationCanceledException) { } // stopped before it began
                finally
                {
                    answering = null;
                    Interlocked.Decrement(ref questions);
                }
            }
        }
        return 1;
    }

    static int questions;                                    // that were read and are not answered yet

    /// <summary>Reads lines to the end of the input.</summary>
    static void Read(BlockingCollection<string> lines)
    {
        while (Console.ReadLine() is { } line)
        {
            if (Volatile.Read(ref questions) > 0 && line.Trim() is { Length: > 0 } waiting) Console.Error.WriteLine($"(waits: \"{waiting}\")");
            if (IsQuestion(line.Trim())) Interlocked.Increment(ref questions);
            lines.Add(line);
        }
        lines.CompleteAdding();
    }

    const string Quit = "/quit", Full = "/new forgets the conversation and begins another.";

    /// <summary>A path is one; what begins like a command is none.</summary>
    static bool IsQuestion(string line) => line.Length > 0 && (line[0] != '/' || !IsFile(line) && (line.Contains(' ') || line[1..].Contains('/')));

    static bool IsFile(string line) => line is "/save" or "/load" || line.StartsWith("/save ", StringComparison.Ordinal)
        || line.StartsWith("/load ", StringComparison.Ordinal);

    /// <summary>What a line that is no question is answered; null: it is a question.</summary>
    static string? Reply(Conversation conversation, string line)
    {
        if (IsQuestion(line)) return null;
        if (IsFile(line))
            try { return OfFile(conversation, line[..5], line[5..].Trim()); }
            catch (TesseraException e) { return e.Message.ReplaceLineEndings(" "); }
        switch (line)
        {
            case "": return "";
            case Quit: return Quit;
            case "/help": return Help;
            case "/new":
                conversation.Forget();
                return "a new conversation";
            case "/think":
                conversation.Thinking = true;
                return "thinking before answering, where the model's template knows it";
            case "/no-think":
                conversation.Thinking = false;
                return "answering without thinking";
        }
        return $"{line}: no such command; /help lists them";
    }

    static string OfFile(Conversation conversation, string command, string path)
    {
        if (path.Length == 0) return $"{command}: expected a file: {command} FILE";
        bool saves = command == "/save";
        int count = saves ? conversation.Save(path) : conversation.Load(path);
        return $"{Path.GetFullPath(path)}: {count} message{(count == 1 ? "" : "s")} {(saves ? "saved" : "loaded")}";
    }
}
