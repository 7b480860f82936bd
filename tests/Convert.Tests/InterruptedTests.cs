using System.Diagnostics;
using System.Runtime.InteropServices;
using Tessera.Testing;
using Xunit;

namespace Tessera.Convert.Tests;

/// <summary>A conversion that cannot end leaves nothing behind, and what was there stays.</summary>
public class InterruptedTests
{
    const int Interrupt = 2, Terminate = 15, HangUp = 1, Kill = 9;

    static Process Convert(HfMaker maker) => Process.Start(new ProcessStartInfo(Path.Combine(Command.Built("Convert"), "Tessera.Convert"),
        [maker.Folder, "-o", maker.Out, "--dtype", "q8"]) { RedirectStandardError = true, RedirectStandardOutput = true })!;

    static string[] Partial(HfMaker maker) => Directory.GetFiles(maker.Folder, "*.partial");

    [Theory, InlineData(Interrupt), InlineData(Terminate), InlineData(HangUp)]
    public void A_signal_leaves_nothing_half_written(int signal)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("sends signals, which Windows has not");
        using var maker = Large(800);
        File.WriteAllText(maker.Out, "what was there");
        using var process = Convert(maker);
        while (!Partial(maker).Any(f => new FileInfo(f).Length > 1 << 20))
        {
            Assert.False(process.HasExited, "it ended before it could be stopped");
            Thread.Sleep(1);
        }
        Assert.Equal(0, Send(process.Id, signal));
        process.WaitForExit();
        Assert.Equal((1, "stopped"), (process.ExitCode, process.StandardError.ReadToEnd().Trim()));
        Assert.Empty(Partial(maker));
        Assert.Equal("what was there", File.ReadAllText(maker.Out));
    }

    [Fact]
    public void What_a_killed_run_left_the_next_removes()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("sends signals, which Windows has not");
        using var maker = Large(400);
        using (var process = Convert(maker))
        {
            while (Partial(maker).Length == 0) Thread.Sleep(1);
            Assert.Equal(0, Send(process.Id, Kill));
            process.WaitForExit();
        }
        Assert.Single(Partial(maker));
        maker.SaveWithEmptyEmbedding(10).Convert();
        Assert.Empty(Partial(maker));
    }

    [Fact]
    public void A_source_that_is_cut_off_meanwhile_is_told_in_one_line()
    {
        using var maker = Large(100);
        using var folder = new HfFolder(maker.Folder);
        var converter = new Converter(folder, _ =>
        {
            foreach (string shard in Directory.GetFiles(maker.Folder, "*.safetensors"))
                using (var file = new FileStream(shard, FileMode.Open, FileAccess.Write, FileShare.ReadWrite)) file.SetLength(5000);
        });
        string message = Assert.Throws<TesseraException>(() => converter.Write(maker.Out, DType.Q8)).Message;
        Assert.Matches("model-0000.-of-0000.*: was cut off while tensor '.*' was read", message);
        Assert.Empty(Partial(maker));
        Assert.False(File.Exists(maker.Out));
    }

    /// <summary>At any moment of a whole run: what was there or the whole new file, nothing beside it, and never a stack trace.</summary>
    [Fact, Trait("set", "all")]
    public void A_signal_at_any_moment_leaves_the_old_file_or_the_new()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("sends signals, which Windows has not");
        using var maker = Large(100);
        var clock = Stopwatch.StartNew();
        using (var whole = Convert(maker)) whole.WaitForExit();
        int milliseconds = (int)clock.ElapsedMilliseconds;
        byte[] made = File.ReadAllBytes(maker.Out), old = "what was there"u8.ToArray();
        var random = new Random(7);
        for (int i = 0; i < 24; i++)
        {
            int signal = new[] { Interrupt, Terminate, HangUp, Kill }[i % 4];
            File.WriteAllBytes(maker.Out, old);
            using var process = Convert(maker);
            if (!process.WaitForExit(random.Next(milliseconds))) _ = Send(process.Id, signal);
            process.WaitForExit();
            string errors = process.StandardError.ReadToEnd();
            Assert.DoesNotContain("   at ", errors);
            byte[] now = File.ReadAllBytes(maker.Out);
            Assert.True(now.AsSpan().SequenceEqual(old) || now.AsSpan().SequenceEqual(made), $"signal {signal}: {now.Length} bytes, {errors}");
            Assert.InRange(Partial(maker).Length, 0, signal == Kill ? 1 : 0);
            foreach (string left in Partial(maker)) File.Delete(left);
        }
    }

    [Fact, Trait("set", "all")]
    public void A_full_disk_leaves_nothing_half_written()
    {
        using var maker = Large(40);
        string small = Path.Combine(maker.Folder, "small");
        Directory.CreateDirectory(small);
        string program = Path.Combine(Command.Built("Convert"), "Tessera.Convert");
        var run = Command.Start("/bin/sh", "-c",
            $"unshare -rm sh -c 'mount -t tmpfs -o size=4m none {small} && {program} {maker.Folder} -o {small}/m.tessera --dtype q8; echo exit $?; ls -A "
            + $"{small}'");
        if (!run.Output.StartsWith("exit", StringComparison.Ordinal)) Assert.Skip($"a small disk cannot be mounted here: {run.Errors}");
        Assert.Equal("exit 1\n", run.Output); // and the listing is empty
        Assert.Contains("the disk is full", run.Errors);
        Assert.Single(run.Errors.TrimEnd().Split('\n'));
    }

    /// <summary>A model whose embedding is so many MB of zeros that take no space.</summary>
    static HfMaker Large(int megabytes) => new HfMaker().SaveWithEmptyEmbedding(megabytes * 1000000 / 192);

    [DllImport("libc", EntryPoint = "kill")]
    static extern int Send(int process, int signal);
}
