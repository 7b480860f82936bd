using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Tessera.Convert;

/// <summary>
/// Help that is true of this command line: the parser's would ask for the converter's folder before verify and inspect, and cannot write an optional argument
/// before another.
/// </summary>
sealed class Usage(SynchronousCommandLineAction help, RootCommand root) : SynchronousCommandLineAction
{
    /// <summary>The two arguments of verify.</summary>
    public const string OptionalFolderAndFile = "[HF_FOLDER] FILE";

    public static void Set(RootCommand root)
    {
        var option = root.Options.OfType<HelpOption>().Single();
        option.Action = new Usage((SynchronousCommandLineAction)option.Action!, root);
    }

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parsed)
    {
        foreach (var argument in root.Arguments) argument.Hidden = parsed.CommandResult.Command != root;
        var to = parsed.InvocationConfiguration.Output;
        var text = new StringWriter();
        parsed.InvocationConfiguration.Output = text;
        int code = help.Invoke(parsed);
        parsed.InvocationConfiguration.Output = to;
        string shown = $"<{OptionalFolderAndFile}>";
        to.Write(text.ToString().Replace(shown + "...", shown).Replace(shown, "[HF_FOLDER] <FILE>"));
        return code;
    }
}
