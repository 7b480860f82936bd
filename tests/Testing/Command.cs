using System.Diagnostics;

namespace Tessera.Testing;

/// <summary>Runs a program of this repository, as built beside the tests, and tells what it printed.</summary>
public sealed record Command(int ExitCode, string Output, string Errors)
{
    /// <param name="project">Chat, Convert, Bench or a sample.</param>
    public static Command Run(string project, params string[] arguments) => Start(Path.Combine(Built(project), $"Tessera.{project}"), arguments);

    /// <summary>Runs a program, named from the root, in the repository's root.</summary>
    public static Command Start(string program, params string[] arguments) => Start(program, arguments, []);

    /// <summary>The same, with more variables in its environment.</summary>
    public static Command Start(string program, string[] arguments, params (string Name, string Value)[] environment)
    {
        var info = new ProcessStartInfo(Path.Combine(Repository.Root, program), arguments)
        {
            RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true, WorkingDirectory = Repository.Root,
        };
        foreach (var (name, value) in environment) info.Environment[name] = value;
        using var process = Process.Start(info)!;
        process.StandardInput.Close();
        var errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new Command(process.ExitCode, output, errors.Result);
    }

    /// <summary>Where a project of the same configuration was built.</summary>
    public static string Built(string project)
    {
        var own = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar)); // artifacts/bin/PROJECT/CONFIGURATION
        return Path.Combine(own.Parent!.Parent!.FullName, project, own.Name);
    }
}
