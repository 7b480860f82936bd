using Tessera.Tools;

namespace Tessera.Chat;

/// <summary>A chat in the terminal. Ctrl-C stops the answer; at the prompt it ends the program.</summary>
static class Interactive
{
    const string Help = """
        /help      this list
        /new       forget the conversation
        /think     think before answering
        /no-think  answer at once
        /quit      end (so do Ctrl-D, and Ctrl-C at the prompt)
        Ctrl-C stops an answer.
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
        while (!stop.IsCancellationRequested)
        {
            if (!Console.IsInputRedirected) Console.Error.Write("> ");
            if (Console.ReadLine() is not { } line) return 0;
            if (Command(conversation, line.Trim()) is { } reply)
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
                finally { answering = null; }
            }
        }
        return 1;
    }

    const string Quit = "/quit", Full = "/new forgets the conversation and begins another.";

    /// <summary>What a line that is no question is answered; null: it is a question.</summary>
    static string? Command(Conversation conversation, string line)
    {
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
        return line[0] == '/' && !line.Contains(' ') && !line[1..].Contains('/') ? $"{line}: no such command; /help lists them" : null;
    }
}
