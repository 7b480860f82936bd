using System.IO.Hashing;
using Silk.NET.Vulkan;
using Tessera.Runtime.Devices;
using Tessera.Runtime.Devices.Vulkan;
using Tessera.Runtime.Models;
using Tessera.Runtime.Sampling;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Runtime.Tests.Devices;

/// <summary>How the Vulkan device behaves where drivers and machines do not.</summary>
public sealed class VulkanTests : IDisposable
{
    readonly GoldenModel model = new("numbers-dense", DType.Q8);

    public void Dispose() => model.Dispose();

    static VulkanDevice Open() => (VulkanDevice)TestDevices.Open("lavapipe");

    static int Lavapipe => TestDevices.Lavapipe;

    static void Compute(IDevice device)
    {
        using Shaders.DeviceMemory x = device.Allocate(Rows.Bytes(DType.F32, 2, 64)), rows = device.Allocate(64);
        var row = Tensor.OfRows(x, 0, DType.F32, 2, 64);
        using var recording = device.Record(gpu => gpu.Gather(row, Tensor.Packed(rows, 0, DType.I32, 1, 2), row, Tensor.None));
        device.Submit(recording);
        device.Wait();
    }

    [Fact]
    public void Pipelines_are_kept_and_what_is_broken_or_foreign_is_ignored()
    {
        string folder = Path.Combine(Path.GetTempPath(), $"tessera-cache-{Guid.NewGuid():N}");
        try
        {
            int Loaded()
            {
                using var device = VulkanDevice.Open(Lavapipe, folder);
                int loaded = device.Pipelines.Cache.Loaded;
                Compute(device);
                return loaded;
            }
            Assert.Equal(0, Loaded());
            string file = Directory.EnumerateFiles(folder, "*.pipelines").Single();
            byte[] whole = File.ReadAllBytes(file);
            Assert.Equal(whole.Length - 16, Loaded());
            File.WriteAllBytes(file, whole[..(whole.Length / 2)]);
            Assert.Equal(0, Loaded());
            byte[] altered = [.. whole];
            altered[^1] ^= 1;
            File.WriteAllBytes(file, altered);
            Assert.Equal(0, Loaded());
            byte[] foreign = [.. whole];
            foreign[16 + 16] ^= 1; // another driver's id, behind a hash that fits
            XxHash128.Hash(foreign.AsSpan(16)).CopyTo(foreign, 0);
            File.WriteAllBytes(file, foreign);
            Assert.Equal(0, Loaded());
            File.WriteAllBytes(file, []);
            Assert.Equal(0, Loaded());

            // Engines that save at once leave one whole file and nothing beside it.
            Parallel.For(0, 8, _ => Loaded());
            Assert.Equal(file, Directory.EnumerateFiles(folder).Single());
            Assert.Equal(whole.Length - 16, Loaded());
        }
        finally
        {
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Too_much_memory_is_refused_with_what_is_free()
    {
        using var device = Open();
        var error = Assert.Throws<TesseraException>(() => device.Allocate(1L << 50));
        Assert.Matches(@"vulkan:\d+: 1073741824 MiB were asked for, \d+ MiB are free; use a shorter context", error.Message);
        Compute(device); // it goes on
    }

    [Fact]
    public void What_is_larger_than_one_allocation_is_refused_with_the_limit()
    {
        using var device = VulkanDevice.Open(Lavapipe, maxAllocation: 2L << 30);
        Assert.Equal(2L << 30, device.MaxAllocationBytes);
        var error = Assert.Throws<TesseraException>(() => device.Allocate((2L << 30) + 1));
        Assert.Matches(@"^vulkan:\d+: 2048 MiB were asked for in one allocation, the device gives at most 2048 MiB; use a shorter context", error.Message);
        Compute(device); // it goes on
        using var own = Open();
        Assert.InRange(own.MaxAllocationBytes, 1L << 30, long.MaxValue); // Vulkan promises no less
    }

    [Fact]
    public unsafe void Memory_that_the_host_does_not_see_is_reached_through_staging()
    {
        using var device = VulkanDevice.Open(Lavapipe, staged: true);
        var random = new Random(1);
        byte[] large = new byte[3 * VulkanStaging.SlotBytes + 12345], small = new byte[1000], back = new byte[large.Length], backSmall = new byte[small.Length];
        random.NextBytes(large);
        random.NextBytes(small);
        using (Shaders.DeviceMemory a = device.Allocate(large.Length), b = device.Allocate(small.Length), c = device.Allocate(small.Length))
        {
            Assert.True(((VulkanMemory)a).Mapped is null && ((VulkanMemory)b).Buffer.Handle == ((VulkanMemory)c).Buffer.Handle && b.Address != c.Address);
            device.Read(Tensor.Packed(a, 0, DType.Q8, 1, back.Length), back);
            Assert.All(back, x => Assert.Equal(0, x));
            device.Write(Tensor.Packed(a, 0, DType.Q8, 1, large.Length), large);
            device.Write(Tensor.Packed(b, 0, DType.Q8, 1, small.Length), small);
            device.Read(Tensor.Packed(a, 0, DType.Q8, 1, back.Length), back);
            device.Read(Tensor.Packed(b, 0, DType.Q8, 1, small.Length), backSmall);
            Assert.True(large.AsSpan().SequenceEqual(back) && small.AsSpan().SequenceEqual(backSmall));
            device.Read(Tensor.Packed(c, 0, DType.Q8, 1, small.Length), backSmall);
            Assert.All(backSmall, x => Assert.Equal(0, x));
        }
        using var file = Files.TiledFile.Open(model.FilePath);
        float[] Logits(IDevice on)
        {
            using var loaded = LoadedModel.From(file, on);
            using var runner = new Runner(on, file.Index.Config, loaded.Weights, Numerics.Fast, file.Index.Config.Vocabulary,
                new BatchLimits(8, 8, 4, 1, 4, 0));
            runner.Cache.SetRuns();
            for (int i = 0; i < 5; i++) runner.Batch.Add(40 + i, 0, i, wanted: true);
            runner.Run();
            var logits = new float[file.Index.Config.Vocabulary];
            runner.ReadLogits(4, logits);
            // What goes in and out of a step needs no copy, also where weights do.
            for (int i = 5; i < 12; i++)
            {
                long before = ((VulkanDevice)on).Queue.Submissions;
                runner.Batch.Clear();
                runner.Batch.Add(50 + i, 0, i, wanted: true);
                runner.Run();
                runner.Candidates(0);
                Assert.Equal(1, ((VulkanDevice)on).Queue.Submissions - before);
            }
            return logits;
        }
        using var seen = Open();
        Assert.Equal(Logits(seen), Logits(device));
    }

    [Theory, InlineData(false), InlineData(true)]
    public void A_lost_device_is_its_own_error_and_closes_without_another(bool whileWaiting)
    {
        using var device = Open();
        using Shaders.DeviceMemory x = device.Allocate(Rows.Bytes(DType.F32, 2, 64)), rows = device.Allocate(64);
        var row = Tensor.OfRows(x, 0, DType.F32, 2, 64);
        using var recording = device.Record(gpu => gpu.Gather(row, Tensor.Packed(rows, 0, DType.I32, 1, 2), row, Tensor.None));
        if (whileWaiting) device.Queue.InjectedWait = Result.ErrorDeviceLost;
        else device.Queue.InjectedSubmit = Result.ErrorDeviceLost;
        var lost = Assert.Throws<DeviceLostException>(() =>
        {
            device.Submit(recording);
            device.Wait();
        });
        Assert.Matches(@"^vulkan:\d+ \(.+\) was lost: ", lost.Message);
        Assert.Throws<DeviceLostException>(() => device.Read(row, new byte[64])); // not what happens to lie there
        Assert.Throws<DeviceLostException>(() => device.Submit(recording));
    }

    [Fact]
    public void A_device_that_lacks_something_is_passed_over_with_the_reason()
    {
        Assert.Equal("it has no buffer device addresses", VulkanProbe.GetUnavailableReason(false, true, true, true, DeviceKind.Discrete));
        Assert.Equal("its shaders have no 64-bit integers", VulkanProbe.GetUnavailableReason(true, false, true, true, DeviceKind.Discrete));
        Assert.Equal("its shaders have no subgroups of 4 or more that broadcast",
            VulkanProbe.GetUnavailableReason(true, true, false, true, DeviceKind.Discrete));
        Assert.Equal("it has no compute queue", VulkanProbe.GetUnavailableReason(true, true, true, false, DeviceKind.Discrete));
        Assert.StartsWith("it is null hardware", VulkanProbe.GetUnavailableReason(true, true, true, true, DeviceKind.Null));
        Assert.Null(VulkanProbe.GetUnavailableReason(true, true, true, true, DeviceKind.Software));
    }

    [Fact]
    public void A_decode_step_is_one_submission()
    {
        using var one = new OneSequence(model.FilePath, new ModelOptions { Device = TestDevices.Named("lavapipe"), Context = 256 });
        one.Take([5, 6, 7, 8], SamplingOptions.Greedy, 3);
        var device = (VulkanDevice)one.Model.Device;
        long before = device.Queue.Submissions;
        for (int i = 0; i < 10; i++) one.Next();
        Assert.Equal(10, device.Queue.Submissions - before);
    }

    [Fact]
    public void Long_work_is_cut_into_submissions()
    {
        using var device = Open();
        const int Cols = 2048, Tokens = 4096;
        using Shaders.DeviceMemory w = device.Allocate(Tile.Bytes(DType.Q8, Cols, Cols)), x = device.Allocate(Rows.Bytes(DType.F32, Tokens, Cols));
        using var recording = (VulkanRecording)device.Record(gpu =>
        {
            var rows = Tensor.OfRows(x, 0, DType.F32, Tokens, Cols);
            for (int i = 0; i < 6; i++) gpu.MatMul(Tensor.Weights(w, 0, DType.Q8, Cols, Cols), rows, rows, Tensor.None, Tensor.None);
        });
        Assert.Equal(3, recording.Commands.Length); // 34 GFLOP each, two to a tenth of a second
    }

    [Fact]
    public void Timed_work_is_cut_into_submissions_too()
    {
        using var device = Open();
        using Shaders.DeviceMemory memory = device.Allocate(Rows.Bytes(DType.F32, 2, 64)), rows = device.Allocate(64);
        var x = Tensor.OfRows(memory, 0, DType.F32, 2, 64);
        var large = x with { Bytes = 4L << 30 }; // estimated as if all of it were read: 43 ms
        using var recording = device.Record(gpu =>
        {
            for (int i = 0; i < 5; i++) gpu.Gather(large, Tensor.Packed(rows, 0, DType.I32, 1, 2), x, Tensor.None);
        });
        long before = device.Queue.Submissions;
        Assert.InRange(device.Time(recording), 1e-9, 1);
        Assert.Equal(3, device.Queue.Submissions - before);
        double[] seconds = device.Profile(recording);
        Assert.Equal(5, seconds.Length);
        Assert.All(seconds, s => Assert.InRange(s, 1e-9, 1));
        Assert.Equal(6, device.Queue.Submissions - before);
    }
}
