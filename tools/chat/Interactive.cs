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

    public static int Run(Conversation conversation)
    {
        Console.Error.WriteLine("/help lists the commands");
        CancellationTokenSource? answering = null;
        Console.CancelKeyPress += (_, e) =>
        {
            if (answering is { } running) running.Cancel();
            else Environment.Exit(0);
            e.Cancel = true;
        };
        while (true)
        {
            if (!Console.IsInputRedirected) Console.Write("> ");
            if (Console.ReadLine() is not { } line) return 0;
            switch (line.Trim())
            {
                case "": continue;
                case "/quit": return 0;
                case "/help": Console.WriteLine(Help); continue;
                case "/new": conversation.Forget(); continue;
                case "/think": conversation.Thinking = true; continue;
                case "/no-think": conversation.Thinking = false; continue;
                case ['/', ..] command when !command.Contains(' '): Console.Error.WriteLine($"{command}: no such command; /help lists them"); continue;
            }
            using (answering = new CancellationTokenSource())
            {
                try { conversation.Ask(line, answering.Token).GetAwaiter().GetResult(); }
                catch (TesseraException e) { Console.Error.WriteLine(e.Message); } // this turn failed, not the chat
                catch (OperationCanceledException) { } // stopped before it began
            }
            answering = null;
        }
    }
}
