using System.CommandLine;
using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Tessera.Tools;

/// <summary>
/// What all command lines share: usage errors exit 2, failures exit 1 with one line, signals cancel, numbers are written the same everywhere.
/// </summary>
static class Cli
{
    public static int Run(RootCommand root, string[] args)
    {
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        Console.OutputEncoding = new System.Text.UTF8Encoding(false);
        Console.SetError(new StandardError());
        var parsed = root.Parse(Undirected(root, args), new ParserConfiguration { ResponseFileTokenReplacer = null }); // a text behind an @ is a prompt
        string? wrong = Misspelled(parsed, args) ?? (parsed.Errors.Count > 0 ? Plain(parsed.Errors[0].Message) : null);
        if (wrong is not null)
        {
            Console.Error.WriteLine($"{wrong} Try --help.");
            return 2;
        }
        return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
    }

    /// <summary>
    /// The parser takes first arguments in brackets for directives, known or not, and drops them: an option before them, which no one types, ends that. They
    /// are a prompt.
    /// </summary>
    static string[] Undirected(RootCommand root, string[] args)
    {
        root.Directives.Clear();
        if (args is not [['[', .., ']'], ..]) return args;
        const string Before = "--\u0001";
        root.Add(new Option<bool>(Before) { Hidden = true });
        return [Before, .. args];
    }

    /// <summary>The parser's messages on one line, without .NET's names of types.</summary>
    static string Plain(string message)
    {
        string line = string.Join(' ', message.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        int type = line.IndexOf(" as expected type", StringComparison.Ordinal);
        return type < 0 ? line : $"{line[..type]}.";
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

    /// <summary>Reads a number's option the same in every culture (no comma, no space), and keeps it within bounds.</summary>
    public static Option<T> Within<T>(this Option<T> option, double least, double most = int.MaxValue) where T : struct, INumber<T>
    {
        option.CustomParser = r => Number<T>(option.Name, r, least, most) ?? default;
        return option;
    }

    public static Option<T?> Within<T>(this Option<T?> option, double least, double most = int.MaxValue) where T : struct, INumber<T>
    {
        option.CustomParser = r => Number<T>(option.Name, r, least, most);
        return option;
    }

    static T? Number<T>(string option, System.CommandLine.Parsing.ArgumentResult result, double least, double most) where T : struct, INumber<T>
    {
        string text = result.Tokens is [var token] ? token.Value : "";
        const NumberStyles Style = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        bool read = T.TryParse(text, Style, CultureInfo.InvariantCulture, out var value);
        if (read && double.CreateChecked(value) is var number && number >= least && number <= most) return value;
        string kind = !read && T.IsInteger(T.One / (T.One + T.One)) ? "a whole number, " : ""; // a half is whole where there are no fractions
        result.AddError($"{option}: expected {kind}{(most == int.MaxValue ? $"{least} or more" : $"{least} to {most}")}, found '{text}'.");
        return null;
    }

    /// <summary>What Ctrl-C does while it is set, instead of cancelling the command: a chat's answer ends, not the chat.</summary>
    public static Action? Interrupt { get; set; }

    /// <summary>Runs a command's body with its errors as one line. Ctrl-C, SIGTERM and SIGHUP cancel it; the second time they end the process.</summary>
    public static int Guard(Func<CancellationToken, int> body)
    {
        using var stop = new CancellationTokenSource();
        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = !stop.IsCancellationRequested;
            if (signal.Signal == PosixSignal.SIGINT && Interrupt is { } interrupt)
            {
                signal.Cancel = true;
                interrupt();
            }
            else if (signal.Cancel) stop.Cancel();
        }
        using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var hungUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Stop);
        try { return body(stop.Token); }
        catch (TesseraException e) { return Fail(e.Message); }
        catch (OperationCanceledException) { return Fail("stopped"); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or OutOfMemoryException) { return Fail(e.Message); }
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

    /// <summary>Standard error, or nothing where it is closed or broken: what is said there must not end a command that succeeds.</summary>
    sealed class StandardError : TextWriter
    {
        readonly Stream stream = Open();

        public override System.Text.Encoding Encoding { get; } = new System.Text.UTF8Encoding(false);

        public override void Write(char value) => Write([value]);

        public override void Write(char[] buffer, int index, int count) => Write(buffer.AsSpan(index, count));

        public override void Write(string? value) => Write(value.AsSpan());

        public override void WriteLine(string? value) => Write($"{value}{Environment.NewLine}");

        public override void Write(ReadOnlySpan<char> text)
        {
            byte[] bytes = new byte[Encoding.GetMaxByteCount(text.Length)];
            int count = Encoding.GetBytes(text, bytes);
            lock (stream)
                try
                {
                    stream.Write(bytes, 0, count);
                    stream.Flush();
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
        }

        static Stream Open()
        {
            try { return Console.OpenStandardError(); }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return Stream.Null; }
        }
    }
}
