using Tessera.Runtime.Devices.Host;
using Tessera.Runtime.Models;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Runtime.Tests.Devices;

/// <summary>What the host finds out about its machine, and what it refuses.</summary>
public class HostTests
{
    [Fact]
    public void Threads_beyond_reason_are_refused()
    {
        var error = Assert.Throws<TesseraException>(() => new HostDevice(100_000_000));
        Assert.Contains("expected 1 to 1024 threads, or 0 for one on each processor, found 100000000", error.Message);
        Assert.Throws<TesseraException>(() => new HostDevice(-1));
    }

    [Fact]
    public void Last_caches_are_added_up_once_each()
    {
        string folder = Path.Combine(Path.GetTempPath(), $"tessera-cpus-{Guid.NewGuid():N}");
        void Cache(int cpu, int index, int level, string size, string shared)
        {
            string at = Directory.CreateDirectory(Path.Combine(folder, $"cpu{cpu}", "cache", $"index{index}")).FullName;
            File.WriteAllText(Path.Combine(at, "level"), $"{level}\n");
            File.WriteAllText(Path.Combine(at, "size"), $"{size}\n");
            File.WriteAllText(Path.Combine(at, "shared_cpu_list"), $"{shared}\n");
        }
        try
        {
            Directory.CreateDirectory(Path.Combine(folder, "cpufreq"));
            Assert.Equal(0, HostProcessor.LastCacheBytes(folder));
            for (int cpu = 0; cpu < 4; cpu++)
            {
                Cache(cpu, 0, 1, "32K", $"{cpu}");
                Cache(cpu, 2, 2, "1M", $"{cpu}");
                Cache(cpu, 3, 3, "32768K", cpu < 2 ? "0-1" : "2-3");
            }
            Assert.Equal(64L << 20, HostProcessor.LastCacheBytes(folder));
            Cache(0, 3, 3, "much", "0-1");
            Assert.Equal(0, HostProcessor.LastCacheBytes(folder));
            Assert.Equal(0, HostProcessor.LastCacheBytes(folder + "-nowhere"));
        }
        finally { Directory.Delete(folder, recursive: true); }
        Assert.InRange(HostProcessor.UncachedBytes, 192 << 20, 1 << 30);
    }

    [Fact]
    public void Synthetic_weights_take_what_their_sizes_add_up_to()
    {
        using var device = TestDevices.Open("host");
        foreach (var type in new[] { DType.Q8, DType.F16 })
        {
            var moe = new MoeConfig(4, 2, 32, true, 1, []);
            var config = Synthetic.Shapes["moe-mini"] with { Hidden = 64, Layers = 2, Heads = 4, Ffn = 64, Vocabulary = 96, Moe = moe };
            long expected = Synthetic.Bytes(config, type);
            using var made = Synthetic.Make(config, type, device);
            var w = made.Weights;
            long layers = w.Layers.Sum(l => l.Experts!.Router.Bytes + l.Experts.GateUp.Bytes + l.Experts.Down.Bytes + l.Qkv.Bytes + l.Out.Bytes
                + l.AttnNorm.Bytes + l.FfnNorm.Bytes + l.QNorm.Bytes + l.KNorm.Bytes);
            Assert.Equal(expected, layers + w.Embedding.Bytes + w.Head.Bytes + w.FinalNorm.Bytes);
        }
        Assert.InRange(Synthetic.Bytes(Synthetic.Shapes["qwen3-235b-a22b"], DType.Q8), 235e9, 270e9);
    }
}
