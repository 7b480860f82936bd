using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;
using CsCheck;
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
        File.WriteAllBytes(maker.Out, Altered(4096 + 1000));
        var verify = Command.Run("Convert", "verify", maker.Out);
        Assert.Equal(1, verify.ExitCode);
        Assert.Contains("does not match its checksum", verify.Errors);
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
    public void An_index_that_lies(string said, string instead)
    {
        string index = Index();
        Assert.Contains(said, index);
        Refused(WithIndex(index.Remove(index.IndexOf(said, StringComparison.Ordinal), said.Length).Insert(index.IndexOf(said, StringComparison.Ordinal), instead)));
    }

    [Fact]
    public void Any_lie_in_the_index_is_told_or_harmless()
    {
        string index = Index();
        string[] numbers = ["-1", "0", "1", "2147483647", "9223372036854775807", "null", "\"x\"", "1e9", "{}", "[]"];
        var places = new List<(int At, int Length)>();
        for (int at = 0; at < index.Length; at++)
            if (index[at] == ':' && index[at + 1] is not ('{' or '[' or '"')) places.Add((at + 1, index.AsSpan(at + 1).IndexOfAny(",}") ));
        Gen.Select(HfMaker.One([.. places]), HfMaker.One(numbers)).Sample(lie =>
        {
            File.WriteAllBytes(maker.Out, WithIndex(index.Remove(lie.Item1.At, lie.Item1.Length).Insert(lie.Item1.At, lie.Item2)));
            try
            {
                using var engine = Engine.Load(maker.Out, new EngineOptions { Device = "host", Context = 16 });
                engine.Start([1, 2], SamplingOptions.Greedy, 2).Next();
            }
            catch (TesseraException) { }
        }, iter: 300, threads: 1);
    }

    string Index() => Encoding.UTF8.GetString(whole.AsSpan((int)BinaryPrimitives.ReadInt64LittleEndian(whole.AsSpan(16)), (int)BinaryPrimitives.ReadInt64LittleEndian(whole.AsSpan(24))));

    /// <summary>The file with another index, and hashes that match it: what an attacker would write.</summary>
    byte[] WithIndex(string json)
    {
        int at = (int)BinaryPrimitives.ReadInt64LittleEndian(whole.AsSpan(16));
        byte[] text = Encoding.UTF8.GetBytes(json), file = [.. whole[..at], .. text];
        BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(24), text.Length);
        BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(32), file.Length);
        BinaryPrimitives.WriteUInt128LittleEndian(file.AsSpan(40), XxHash128.HashToUInt128(text));
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(56), XxHash3.HashToUInt64(file.AsSpan(0, 56)));
        return file;
    }

    [Fact]
    public void A_segment_of_the_wrong_shape_is_refused_when_it_is_used()
    {
        File.WriteAllBytes(maker.Out, WithIndex(Index().Replace("\"ffn\":37", "\"ffn\":53")));
        using var file = TiledFile.Open(maker.Out);
        using var device = DeviceCatalog.Open("host");
        Assert.Contains("'layers.0.gate_up': expected a matrix", Assert.Throws<TesseraException>(() => LoadedModel.From(file, device)).Message);
    }
}
