using System.Buffers.Binary;
using System.Text;
using Tessera.Runtime.Files;
using Tessera.Runtime.Models;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Convert.Tests;

/// <summary>Tiled files that were cut off, altered, or made to harm.</summary>
public sealed class HostileFileTests : IDisposable
{
    readonly HfMaker maker = new HfMaker().Save();
    readonly byte[] whole;

    public HostileFileTests()
    {
        maker.Convert(DType.Q8);
        whole = File.ReadAllBytes(maker.Out);
    }

    public void Dispose() => maker.Dispose();

    string Refused(byte[] bytes)
    {
        File.WriteAllBytes(maker.Out, bytes);
        string message = Assert.Throws<TesseraException>(() => TiledFile.Open(maker.Out).Dispose()).Message;
        Assert.StartsWith(maker.Out, message);
        Assert.DoesNotContain(message, char.IsControl);
        return message;
    }

    [Theory, InlineData(0), InlineData(7), InlineData(63), InlineData(64), InlineData(5000), InlineData(-1)]
    public void Cut_off(int bytes)
    {
        string message = Refused(bytes < 0 ? whole[..^1] : whole[..bytes]);
        if (bytes >= 64 || bytes < 0) Assert.Matches(@"expected \d+ bytes, found \d+; the file was cut off", message);
    }

    [Fact]
    public void Extended() => Assert.Contains("cut off or extended", Refused([.. whole, 0]));

    [Fact]
    public void Of_a_newer_version()
    {
        byte[] newer = [.. whole];
        newer[8] = 2;
        Assert.Contains("expected format version 1, found 2; use a newer Tessera", Refused(newer));
    }

    [Fact]
    public void Altered_in_the_header() => Assert.Contains("header does not match its checksum", Refused(Altered(20)));

    [Fact]
    public void Altered_in_the_index() => Assert.Contains("index does not match its checksum", Refused(Altered(whole.Length - 5)));

    [Fact]
    public void Altered_in_a_weight()
    {
        File.WriteAllBytes(maker.Out, Altered(4096 + 1000)); // of the embedding
        TiledFile.Open(maker.Out).Dispose();
        var verify = Command.Run("Convert", "verify", maker.Out);
        Assert.Equal(1, verify.ExitCode);
        Assert.Contains("does not match its checksum", verify.Errors);
    }

    [Theory, InlineData("final_norm"), InlineData("layers.1.q_norm"), InlineData("tokenizer"), InlineData("chat_template")]
    public void Altered_in_a_small_segment(string name)
    {
        using var other = new HfMaker().WithTokenizer("{{ messages[0].content }}").Save();
        other.Convert(DType.Q8);
        long at;
        using (var file = TiledFile.Open(other.Out)) at = file.Find(name).Offset;
        byte[] bytes = File.ReadAllBytes(other.Out);
        bytes[at] ^= 1;
        Assert.Contains($"segment '{name}' does not match its checksum", Refused(bytes));
    }

    [Fact]
    public void A_template_that_is_no_Unicode()
    {
        using var file = new TiledFileWriter(maker.Out);
        file.Add("chat_template", SegmentTypes.Bytes, 1, 2, to => to.Append([0xff, 0xfe]));
        using (var made = Refill()) file.Finish(segments => made.Index with { Segments = segments });
        Assert.Contains("the chat template holds text that is not Unicode", Refused(File.ReadAllBytes(maker.Out)));
    }

    TiledFile Refill()
    {
        string path = maker.Out + ".whole";
        File.WriteAllBytes(path, whole);
        return TiledFile.Open(path);
    }

    [Fact]
    public void No_segments_at_all()
    {
        using (var file = new TiledFileWriter(maker.Out))
        using (var made = Refill()) file.Finish(segments => made.Index with { Segments = segments });
        var inspect = Command.Run("Convert", "inspect", maker.Out);
        Assert.Equal((0, ""), (inspect.ExitCode, inspect.Errors));
        Assert.Contains("0 segments", inspect.Output);
    }

    /// <summary>A sparse file whose last segment is as long as it says.</summary>
    string Sparse(string segment, long bytes)
    {
        int index = (int)BinaryPrimitives.ReadInt64LittleEndian(whole.AsSpan(16));
        long offset = (index + 4095) / 4096 * 4096, at = offset + (bytes + 7) / 8 * 8;
        byte[] json = Encoding.UTF8.GetBytes(Index()[..^2] + $$""",{{{segment}},"offset":{{offset}},"bytes":{{bytes}},"hash":"00"}]}""");
        byte[] file = TiledBytes.WithIndex(whole, Encoding.UTF8.GetString(json), at);
        using var stream = File.Create(maker.Out);
        stream.Write(file.AsSpan(0, index));
        stream.Position = at;
        stream.Write(json);
        return maker.Out;
    }

    [Theory]
    [InlineData("expected at most 4194304 bytes", "\"name\":\"chat_template\",\"type\":\"bytes\",\"rows\":1,\"cols\":943718400", 943718400L)]
    [InlineData("expected at most 67108864 bytes", "\"name\":\"tokenizer\",\"type\":\"bytes\",\"rows\":1,\"cols\":943718400", 943718400L)]
    [InlineData("expected type bytes", "\"name\":\"tokenizer\",\"type\":\"f32\",\"rows\":16384,\"cols\":36864", 16384L * 36864 * 4)]
    [InlineData("expected type bytes", "\"name\":\"chat_template\",\"type\":\"q8\",\"rows\":65536,\"cols\":32768", 65536L * 32768 * 34 / 32)]
    [InlineData("expected at most 1048576 values", "\"name\":\"x\",\"type\":\"vector\",\"rows\":1,\"cols\":600000000", 2400000000L)]
    [InlineData("expected a single row", "\"name\":\"x\",\"type\":\"vector\",\"rows\":0,\"cols\":1", 4L)]
    public void Small_segments_that_are_large(string expected, string segment, long bytes)
    {
        string path = Sparse(segment, bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        string message = Assert.Throws<TesseraException>(() => Model.Load(path, new ModelOptions { Device = "host", Context = 16 }).Dispose()).Message;
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 32 << 20);
        Assert.Contains(expected, message);
    }

    [Fact]
    public void A_pipe_a_device_or_a_folder()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "makes a pipe with a name");
        string pipe = maker.Out + ".pipe";
        Assert.Equal(0, TargetTests.MakeFifo(pipe, 0x1b6));
        string message = HfMaker.Ends(() => Assert.Throws<TesseraException>(() => TiledFile.Open(pipe)).Message);
        Assert.Equal($"{pipe}: expected a file, found a device, a pipe or a socket", message);
        Assert.Contains("found a device", Assert.Throws<TesseraException>(() => TiledFile.Open("/dev/zero")).Message);
        Assert.Contains("found a folder", Assert.Throws<TesseraException>(() => TiledFile.Open(maker.Folder)).Message);
        Assert.Contains("there is no such file", Assert.Throws<TesseraException>(() => TiledFile.Open(maker.Folder + "/none")).Message);
    }

    byte[] Altered(int at)
    {
        byte[] altered = [.. whole];
        altered[at] ^= 0x10;
        return altered;
    }

    [Theory]
    [InlineData("\"rows\":301", "\"rows\":-301")]
    [InlineData("\"rows\":301", "\"rows\":2147483647")]
    [InlineData("\"cols\":96", "\"cols\":2147483647")]
    [InlineData("\"offset\":4096", "\"offset\":0")]
    [InlineData("\"offset\":4096", "\"offset\":-4096")]
    [InlineData("\"offset\":4096", "\"offset\":9223372036854771712")]
    [InlineData("\"offset\":8192", "\"offset\":4096")]
    [InlineData("\"type\":\"q8\"", "\"type\":\"q3\"")]
    [InlineData("\"name\":\"head\"", "\"name\":\"embedding\"")]
    [InlineData("\"name\":\"head\"", "\"name\":null")]
    [InlineData("\"name\":\"head\"", "\"name\":\"\\u001b[2J\"")]
    [InlineData("\"topP\":1", "\"topP\":7")]
    [InlineData("\"endIds\":[]", "\"endIds\":[-1]")]
    [InlineData("\"architecture\":\"qwen3\"", "\"architecture\":\"qwen9\"")]
    [InlineData("\"hidden\":96", "\"hidden\":-1")]
    [InlineData("\"layers\":2", "\"layers\":2000000000")]
    [InlineData("\"segments\":[", "\"segments\":5,\"x\":[")]
    [InlineData("{", "[")]
    public void An_index_that_lies(string real, string instead)
    {
        string index = Index();
        Assert.Contains(real, index);
        Refused(WithIndex(index.Remove(index.IndexOf(real, StringComparison.Ordinal), real.Length)
            .Insert(index.IndexOf(real, StringComparison.Ordinal), instead)));
    }

    string Index() => TiledBytes.Index(whole);

    byte[] WithIndex(string json) => TiledBytes.WithIndex(whole, json);

    [Fact]
    public void A_segment_of_the_wrong_shape_is_refused_when_it_is_used()
    {
        File.WriteAllBytes(maker.Out, WithIndex(Index().Replace("\"ffn\":37", "\"ffn\":53")));
        using var file = TiledFile.Open(maker.Out);
        using var device = DeviceCatalog.Open("host");
        Assert.Contains("'layers.0.gate_up': expected a matrix", Assert.Throws<TesseraException>(() => LoadedModel.From(file, device)).Message);
    }
}
