using System.Text.RegularExpressions;
using Tessera.Runtime.Cache;
using Tessera.Runtime.Models;
using Tessera.Shaders;
using Tessera.Testing;
using Tessera.Runtime.Tests.Devices;
using Xunit;

namespace Tessera.Runtime.Tests.Models;

/// <summary>Whether a model fits a device, on made-up devices: the numbers add up, and what is said to fit does.</summary>
public class FitTests
{
    const long Mega = 1 << 20;

    /// <summary>Qwen3-8B's shape in BF16 as if it were a third smaller.</summary>
    static FitRequest Request(long weights, int context = 0, DType type = DType.BF16, DType cache = DType.F16) =>
        new("some-8b", Synthetic.Shapes["qwen3-8b"], type, weights * Mega, Numerics.Fast, cache, context);

    static long Number(string text, string before, string after = " MiB") => long.Parse(Regex.Match(text, $"{before}(\\d+){after}").Groups[1].Value);

    [Fact]
    public void What_is_told_adds_up()
    {
        foreach (var (request, free) in new[] { (Request(5000), 24000L), (Request(5500, 8192), 6000), (Request(9000), 6000), (Request(4000), 6000),
            (Request(600), 700) })
        {
            var plan = Fit.Plan(request, free * Mega);
            Assert.Equal(plan.Total <= plan.Free - plan.Reserve, plan.Fits);
            string line = plan.Fits ? Fit.Describe(request, plan, "card:0") : Fit.Refuse(request, plan, "card:0");
            Assert.Contains(plan.Fits ? "some-8b fits card:0" : "some-8b does not fit card:0", line);
            Assert.Equal((free, request.WeightBytes / Mega), (Number(line, "of ", " MiB free"), Number(line, "weights ")));
            long total = Number(line, "= "), reserve = Number(line, "free, ");
            Assert.InRange(Number(line, "weights ") + Number(line, "cache ") + Number(line, "scratch "), total, total + 2); // each is rounded up
            Assert.Equal(plan.Fits, total <= free - reserve);
            Assert.DoesNotContain("\n", line);
        }
    }

    [Fact]
    public void A_card_of_6000_MiB_says_what_is_free_and_what_would_fit()
    {
        var request = Request(4600, 8192);
        var plan = Fit.Plan(request, 6000 * Mega);
        Assert.False(plan.Fits);
        string line = Fit.Refuse(request, plan, "card:0");
        Assert.Contains("of 6000 MiB free, 600 MiB of which stay in reserve", line);
        int context = (int)Number(line, "a context of ", "");
        Assert.True(Fit.Plan(request with { Context = context }, plan.Free).Fits);
        Assert.False(Fit.Plan(request with { Context = context + 16 }, plan.Free).Fits);
        Assert.Contains("--kv q8", line);
        Assert.True(Fit.Plan(request with { Cache = DType.Q8 }, plan.Free).Fits);
        Assert.Contains("--dtype q8", line);
        Assert.Contains("another device", line);
        // What is so already, or would not do, is not said.
        Assert.DoesNotContain("--kv q8",
            Fit.Refuse(request with { Cache = DType.Q8, Context = 40960 }, Fit.Plan(request with { Cache = DType.Q8, Context = 40960 }, plan.Free), "card:0"));
        var wide = Request(16000, type: DType.Q8);
        string hopeless = Fit.Refuse(wide, Fit.Plan(wide, 6000 * Mega), "card:0");
        Assert.DoesNotContain("--dtype", hopeless);
        Assert.DoesNotContain("a context of", hopeless);
        Assert.Contains("a smaller model would fit, or another device", hopeless);
    }

    [Fact]
    public void A_device_that_gives_small_pieces_says_what_is_too_large_and_what_would_fit()
    {
        const long Room = 100_000 * Mega;
        var cache = Request(4600, 40960);
        string Refusal(FitRequest request, long piece)
        {
            var plan = Fit.Plan(request, Room, piece * Mega);
            Assert.True(plan.HasRoom && !plan.Fits);
            return Fit.Refuse(request, plan, "card:0");
        }
        string line = Refusal(cache, 100);
        Assert.Contains("the cache of a layer (40960 tokens, f16) needs 160 MiB in one allocation, the device gives at most 100 MiB; would fit:", line);
        Assert.Equal(25600, Number(line, "a context of ", ""));
        Assert.True(Fit.Plan(cache with { Context = 25600 }, Room, 100 * Mega).Fits);
        Assert.False(Fit.Plan(cache with { Context = 25601 }, Room, 100 * Mega).Fits);
        Assert.Contains("--kv q8", line);
        Assert.DoesNotContain("--dtype", line);
        Assert.True(Fit.Plan(cache, Room, 160 * Mega).Fits);
        Assert.Equal(8192, Fit.Plan(cache with { Context = 0 }, Room, 100 * Mega).Context);

        // 2 GiB, as some drivers have it: the head of a large model in F32.
        var weights = Request(30000, 8192, DType.F32) with { LargestWeights = new Allocation("'head'", 3000 * Mega) };
        line = Refusal(weights, 2048);
        Assert.Contains("'head' needs 3000 MiB in one allocation, the device gives at most 2048 MiB; would fit: weights converted to q8 (--dtype q8)", line);
        Assert.True(Fit.Plan(weights, Room, 3000 * Mega).Fits);
    }

    [Fact]
    public void A_cache_is_an_allocation_for_each_layer_and_none_where_one_is_too_large()
    {
        using var device = new FakeDevice("card:0", 1L << 50) { MaxAllocationBytes = 2048 * Mega };
        using (var cache = new KvCache(device, DType.F16, 3, 8, 128, blocks: 100, rows: 5, blocksPerRow: 64))
        {
            Assert.Equal(Enumerable.Repeat(KvCache.LayerBytes(DType.F16, 8, 128, 100), 3), device.Allocations);
            Assert.Equal(KvCache.Bytes(DType.F16, 3, 8, 128, 100), device.Allocated);
            Assert.Equal(3, cache.Keys.Select(k => k.Memory).Distinct().Count());
            Assert.All(cache.Keys.Zip(cache.Values), kv => Assert.True(kv.First.Memory == kv.Second.Memory && kv.Second.Offset >= kv.First.Bytes));
        }
        device.Allocations.Clear();
        var e = Assert.Throws<TesseraException>(() => new KvCache(device, DType.F16, 3, 8, 128, 65536, 256, 2560));
        Assert.Equal("the cache of a layer (1048576 tokens, f16) needs 4096 MiB in one allocation, card:0 gives at most 2048 MiB; "
            + "would fit: a cache of 524288 tokens, or try another device", e.Message);
        Assert.Contains(", --kv q8,", Assert.Throws<TesseraException>(() => new KvCache(device, DType.F16, 3, 8, 128, 36000, 1, 36000)).Message);
        Assert.Empty(device.Allocations);
    }

    [Fact]
    public void Without_a_context_asked_for_the_largest_is_taken_that_is_of_use()
    {
        Assert.Equal(8192, Fit.Plan(Request(4000), 24000 * Mega).Context);
        var small = Fit.Plan(Request(4600), 6000 * Mega);
        Assert.True(small.Fits);
        Assert.InRange(small.Context, 512, 8191);
        Assert.False(Fit.Plan(Request(4600, small.Context + 16), 6000 * Mega).Fits);
        Assert.False(Fit.Plan(Request(5300), 6000 * Mega).Fits); // some tokens would, but make no chat
        Assert.InRange(Fit.Largest(Request(5300), 6000 * Mega, 8192), 0, 511);
    }

    [Fact]
    public void It_is_what_is_allocated()
    {
        foreach (var cache in new[] { DType.F32, DType.F16, DType.Q8 })
        {
            using var golden = new GoldenModel("numbers-dense");
            var request = FitRequest.For(golden.File, new ModelOptions()) with { Cache = cache, Context = 1024 };
            using var device = new FakeDevice("counting", 1L << 40);
            using var loaded = LoadedModel.From(golden.File, device);
            var plan = Fit.Plan(request, 1L << 40);
            using (new Runner(device, golden.File.Index.Config, loaded.Weights, Numerics.Fast, 100, plan.Limits, cache)) { }
            Assert.Equal(plan.Cache + plan.Scratch, device.Allocated);
        }
    }

    [Fact]
    public void The_cache_of_all_is_four_contexts_or_what_fits_or_what_was_asked_for()
    {
        Assert.Equal(4 * 8192, Fit.Plan(Request(4000), 24000 * Mega).CacheTokens);
        var tight = Fit.Plan(Request(4000, 8192), 7000 * Mega);
        Assert.True(tight.Fits);
        Assert.InRange(tight.CacheTokens, 8192, 4 * 8192 - 16);
        Assert.False(Fit.Plan(Request(4000, 8192) with { CacheTokens = tight.CacheTokens + 16 }, 7000 * Mega).Fits);
        Assert.Contains($"(8192 tokens, {tight.CacheTokens} of all, f16)", Fit.Describe(Request(4000, 8192), tight, "card:0"));
        var asked = Fit.Plan(Request(4000, 8192) with { CacheTokens = 100_000, Sequences = 3 }, 40000 * Mega);
        Assert.Equal((100_000, 3, 3, 512), (asked.CacheTokens, asked.Limits.Sequences, asked.Limits.RuleSets, asked.Limits.Tokens));
        Assert.Equal(8192, Fit.Plan(Request(4000, 8192) with { CacheTokens = 16 }, 24000 * Mega).CacheTokens); // one answer must have its context
    }
}
