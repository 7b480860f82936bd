using System.Diagnostics;
using System.Runtime.InteropServices;
using Tessera.Testing;
using Xunit;

namespace Tessera.Convert.Tests;

/// <summary>A conversion that cannot end leaves nothing behind, and what was there stays.</summary>
public class InterruptedTests
{
    [Fact]
    public void Ctrl_C_leaves_nothing_half_written()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("sends SIGINT, which Windows has not");
        using var maker = Large(800);
        File.WriteAllText(maker.Out, "what was there");
        var info = new ProcessStartInfo(Path.Combine(Command.Built("Convert"), "Tessera.Convert"), [maker.Folder, "-o", maker.Out, "--dtype", "q8"]) { RedirectStandardError = true, RedirectStandardOutput = true };
        using var process = Process.Start(info)!;
        while (!Directory.EnumerateFiles(maker.Folder, "*.partial").Any(f => new FileInfo(f).Length > 1 << 20))
        {
            Assert.False(process.HasExited, "it ended before it could be stopped");
            Thread.Sleep(1);
        }
        Assert.Equal(0, Kill(process.Id, 2));
        process.WaitForExit();
        Assert.Equal((1, "stopped"), (process.ExitCode, process.StandardError.ReadToEnd().Trim()));
        Assert.Empty(Directory.EnumerateFiles(maker.Folder, "*.partial"));
        Assert.Equal("what was there", File.ReadAllText(maker.Out));
    }

    [Fact, Trait("set", "all")]
    public void A_full_disk_leaves_nothing_half_written()
    {
        using var maker = Large(40);
        string small = Path.Combine(maker.Folder, "small");
        Directory.CreateDirectory(small);
        string program = Path.Combine(Command.Built("Convert"), "Tessera.Convert");
        var run = Command.Start("/bin/sh", "-c", $"unshare -rm sh -c 'mount -t tmpfs -o size=4m none {small} && {program} {maker.Folder} -o {small}/m.tessera --dtype q8; echo exit $?; ls -A {small}'");
        if (!run.Output.StartsWith("exit", StringComparison.Ordinal)) Assert.Skip($"a small disk cannot be mounted here: {run.Errors}");
        Assert.Equal("exit 1\n", run.Output); // and the listing is empty
        Assert.Contains("cannot be written after", run.Errors);
        Assert.Single(run.Errors.TrimEnd().Split('\n'));
    }

    /// <summary>A model whose embedding is so many MB of zeros that take no space.</summary>
    static HfMaker Large(int megabytes)
    {
        var maker = new HfMaker();
        int rows = megabytes * 1000000 / 192;
        maker.Config["vocab_size"] = rows;
        maker.Config["tie_word_embeddings"] = true;
        maker.Tensors.Remove("lm_head.weight");
        maker.Tensors.Remove("model.embed_tokens.weight");
        maker.Save(shards: 2);
        string shard = Path.Combine(maker.Folder, "model-00003-of-00003.safetensors");
        byte[] header = HfMaker.Join($$"""{"model.embed_tokens.weight": {"dtype": "BF16", "shape": [{{rows}}, 96], "data_offsets": [0, {{rows * 192L}} ]} }""", []);
        using (var file = File.Create(shard))
        {
            file.Write(header);
            file.SetLength(header.Length + rows * 192L);
        }
        string index = Path.Combine(maker.Folder, "model.safetensors.index.json");
        File.WriteAllText(index, File.ReadAllText(index).Replace("\"weight_map\":{", "\"weight_map\":{\"model.embed_tokens.weight\":\"model-00003-of-00003.safetensors\","));
        return maker;
    }

    [DllImport("libc", EntryPoint = "kill")]
    static extern int Kill(int process, int signal);
}
