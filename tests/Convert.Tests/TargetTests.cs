using System.Runtime.InteropServices;
using Tessera.Runtime.Files;
using Tessera.Shaders;
using Xunit;

namespace Tessera.Convert.Tests;

/// <summary>What a conversion may write to, and what it must not destroy.</summary>
public sealed class TargetTests : IDisposable
{
    readonly HfMaker maker = new HfMaker().Save(shards: 2);

    public void Dispose() => maker.Dispose();

    string At(string name) => Path.Combine(maker.Folder, name);

    void Refused(string target, string expected)
    {
        string[] before = Listing();
        Assert.Contains(expected, HfMaker.Ends(() => Assert.Throws<TesseraException>(() => maker.Convert(DType.Q8, to: target)).Message));
        Assert.Equal(before, Listing());
    }

    /// <summary>All names, with length and time of the last change.</summary>
    string[] Listing() => [.. new DirectoryInfo(maker.Folder).EnumerateFileSystemInfos("*", SearchOption.AllDirectories)
        .Select(f => $"{f.FullName} {f.Attributes} {f.LinkTarget} {(f as FileInfo)?.Length} {f.LastWriteTimeUtc.Ticks}").Order()];

    [Theory, InlineData("model-00001-of-00002.safetensors"), InlineData("config.json"), InlineData("model.safetensors.index.json")]
    public void A_file_of_the_model_itself(string name)
    {
        Refused(At(name), "is a file of the model itself");
        Refused(At("../" + Path.GetFileName(maker.Folder) + "/" + name), "is a file of the model itself");
        Assert.SkipWhen(OperatingSystem.IsWindows(), "links need a privilege there");
        Directory.CreateSymbolicLink(At("again"), maker.Folder);
        Refused(Path.Combine(At("again"), name), "is a file of the model itself");
        File.Move(At(name), At("elsewhere"));
        File.CreateSymbolicLink(At(name), At("elsewhere")); // as in a cache of downloads
        Refused(At("elsewhere"), "is a file of the model itself");
    }

    [Theory, InlineData(""), InlineData("  "), InlineData("a\0b")]
    public void No_name(string target) => Refused(target, "expected the name of a file to write, found");

    [Fact]
    public void A_folder()
    {
        Directory.CreateDirectory(At("folder"));
        Refused(At("folder"), "is a folder; name a file in it");
        Refused(At("no-folder/"), "is a folder; name a file in it");
        Refused(At("no-folder/made.tessera"), "there is no folder");
    }

    [Fact]
    public void A_link()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "links need a privilege there");
        File.WriteAllText(At("real"), "what was there");
        File.CreateSymbolicLink(At("link"), At("real"));
        File.CreateSymbolicLink(At("nowhere"), At("missing"));
        Refused(At("link"), "is a link to");
        Refused(At("nowhere"), "is a link to");
    }

    [Fact]
    public void A_device_or_a_pipe()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "makes a pipe with a name");
        Assert.Equal(0, MakeFifo(At("pipe"), 0x1b6));
        Refused(At("pipe"), "is a device, a pipe or a socket; name a file");
        Refused("/dev/null", "is a device, a pipe or a socket; name a file");
        Assert.False(RegularFile.Is("/dev/null"));
    }

    [Fact]
    public void An_empty_file_is_replaced()
    {
        File.WriteAllBytes(At("empty"), []);
        maker.Convert(DType.Q8, to: At("empty"));
        TiledFile.Open(At("empty")).Dispose();
    }

    [Fact]
    public void What_a_killed_run_left_is_removed_and_what_a_running_one_writes_is_not()
    {
        string locked, abandoned = maker.Out + ".0123abcd.partial", others = At("other.tessera.0123abcd.partial"), unlike = maker.Out + ".mine.partial";
        foreach (string left in new[] { abandoned, others, unlike }) File.WriteAllText(left, "half");
        using (var running = new TiledFileWriter(maker.Out))
        {
            Assert.False(File.Exists(abandoned));
            locked = Directory.EnumerateFiles(maker.Folder, "made.tessera.*.partial").Single(path => path != unlike);
            maker.Convert(DType.Q8);
            Assert.True(File.Exists(locked));
        }
        Assert.False(File.Exists(locked));
        Assert.True(File.Exists(others) && File.Exists(unlike));
        Assert.True(File.Exists(maker.Out));
    }

    [Fact]
    public void Whoever_has_the_file_open_keeps_the_old_one()
    {
        maker.Convert(DType.Q8);
        using var open = TiledFile.Open(maker.Out);
        maker.Tensors["model.norm.weight"].Values[0] = 0.5f;
        maker.Save(shards: 2).Convert(DType.F32);
        Assert.Empty(open.Corrupted());
        using var made = TiledFile.Open(maker.Out);
        Assert.NotEqual(open.Bytes, made.Bytes);
    }

    [DllImport("libc", EntryPoint = "mkfifo")]
    internal static extern int MakeFifo(string path, uint mode);
}
