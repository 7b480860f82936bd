using System.CommandLine;
using System.Globalization;

namespace Tessera.Tools;

/// <summary>What all command lines share: usage errors exit 2, failures exit 1 with one line, Ctrl-C cancels, numbers are written the same everywhere.</summary>
static class Cli
{
    public static int Run(RootCommand root, string[] args)
    {
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        Console.OutputEncoding = new System.Text.UTF8Encoding(false);
        var parsed = root.Parse(args);
        string? wrong = Misspelled(parsed, args)
            ?? (parsed.Errors.Count > 0 ? string.Join(' ', parsed.Errors[0].Message.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)) : null);
        if (wrong is not null)
        {
            Console.Error.WriteLine($"{wrong} Try --help.");
            return 2;
        }
        return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
    }

    /// <summary>An unknown option would be taken for an argument; behind a bare -- it is one.</summary>
    static string? Misspelled(ParseResult parsed, string[] args)
    {
        int plain = Array.IndexOf(args, "--");
        foreach (var token in parsed.CommandResult.Tokens)
            if (token.Value.StartsWith("--", StringComparison.Ordinal) && token.Value.Length > 2 && (plain < 0 || Array.IndexOf(args, token.Value) < plain))
                return $"There is no option '{token.Value}'; write -- before a text that begins so.";
        return null;
    }

    /// <summary>Adds bounds to a number's option.</summary>
    public static Option<T> Within<T>(this Option<T> option, double least, double most = int.MaxValue)
    {
        option.Validators.Add(r =>
        {
            if (r.Tokens is [var token] && double.TryParse(token.Value, out double value) && !(value >= least && value <= most))
                r.AddError($"{option.Name}: expected {(most == int.MaxValue ? $"{least} or more" : $"{least} to {most}")}, found {token.Value}.");
        });
        return option;
    }

    /// <summary>Runs a command's body with Ctrl-C as cancellation and its errors as one line.</summary>
    public static int Guard(Func<CancellationToken, int> body)
    {
        using var stop = new CancellationTokenSource();
        ConsoleCancelEventHandler cancel = (_, e) => { e.Cancel = true; stop.Cancel(); };
        Console.CancelKeyPress += cancel;
        try { return body(stop.Token); }
        catch (TesseraException e) { return Fail(e.Message); }
        catch (OperationCanceledException) { return Fail("stopped"); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or OutOfMemoryException) { return Fail(e.Message); }
        finally { Console.CancelKeyPress -= cancel; }
    }

    static int Fail(string message)
    {
        Console.Error.WriteLine(message.ReplaceLineEndings(" "));
        return 1;
    }

    public static string Size(long bytes) => bytes switch
    {
        >= 1 << 30 => $"{bytes / 1073741824.0:F2} GiB",
        >= 1 << 20 => $"{bytes / 1048576.0:F1} MiB",
        >= 1 << 10 => $"{bytes / 1024.0:F1} KiB",
        _ => $"{bytes} B",
    };
}
