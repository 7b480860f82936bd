using System.Buffers.Binary;
using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>What an embedder and a user of another system make of the repository: native code, and a folder for a machine that is not there.</summary>
[Trait("set", "all")]
public class PublishTests
{
    /// <summary>Publishes with tests/publish.sh; warnings, those of trimming (IL2...) and of native code (IL3...) too, are errors.</summary>
    static string Publish(string target)
    {
        var run = Command.Start("tests/publish.sh", target);
        Assert.True(run.ExitCode == 0, run.Output + run.Errors);
        Assert.DoesNotContain("warning", run.Output + run.Errors);
        return Path.Combine(Repository.Root, "artifacts", "published", target);
    }

    [Fact]
    public void The_sample_as_native_code_gives_the_same_text()
    {
        string native = Path.Combine(Publish("native"), "Tessera.Embedding");
        Assert.StartsWith("ELF", Format(native));
        Assert.False(File.Exists(native + ".dll")); // no .NET beside it
        foreach (string device in new[] { "host", TestDevices.Named("lavapipe") })
            foreach (string question in new[] { "Write 4217 in French.", "Write 905 in German." })
            {
                string[] arguments = ["models/numbers-dense.tessera", question, device];
                Command ordinary = Command.Run("Embedding", arguments), published = Command.Start(native, arguments);
                Assert.True(published.ExitCode == 0, published.Errors);
                Assert.Equal(Answer(ordinary), Answer(published));
                Assert.Contains($"\n{device}: ", published.Output);
            }
    }

    /// <summary>What was printed without the last line, which has the time in it.</summary>
    static string Answer(Command run) => run.Output[..run.Output.TrimEnd().LastIndexOf('\n')];

    /// <summary>Built, not run: nothing here is one of these systems.</summary>
    [Theory]
    [InlineData("win-x64", "Tessera.Chat.exe", "coreclr.dll", "PE x64")]
    [InlineData("osx-arm64", "Tessera.Chat", "libcoreclr.dylib", "Mach-O arm64")]
    [InlineData("linux-arm64", "Tessera.Chat", "libcoreclr.so", "ELF arm64")]
    public void Chat_for_another_system_is_that_systems_program(string system, string program, string runtime, string format)
    {
        string folder = Publish(system);
        foreach (string file in new[] { program, runtime }) Assert.Equal(format, Format(Path.Combine(folder, file)));
        foreach (string file in new[] { "Tessera.Chat.dll", "Tessera.Runtime.dll", "Tessera.Runtime.Ilgpu.dll", "numbers-dense.tessera" })
            Assert.True(File.Exists(Path.Combine(folder, file)), file);
    }

    /// <summary>Format and processor of a program or library, from its header.</summary>
    static string Format(string file)
    {
        var head = new byte[4096];
        using (var stream = File.OpenRead(file)) stream.ReadExactly(head);
        uint Word(int at) => BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(at));
        if (Word(0) == 0x464c457f) return "ELF " + (head[18] switch { 0x3e => "x64", 0xb7 => "arm64", var machine => $"{machine:x}" });
        if (Word(0) == 0xfeedfacf) return "Mach-O " + (Word(4) switch { 0x0100000c => "arm64", var processor => $"{processor:x}" });
        int pe = (int)Word(60);
        return head[0] == 'M' && head[1] == 'Z' && Word(pe) == 0x4550 ? "PE " + (head[pe + 5] == 0x86 ? "x64" : $"{head[pe + 5]:x}") : "no program";
    }
}
