using System.Runtime.InteropServices;
using Tessera.Runtime.Devices;
using Tessera.Runtime.Devices.Host;
using Tessera.Runtime.Devices.Reference;
using Tessera.Runtime.Devices.Vulkan;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Runtime.Tests.Devices;

/// <summary>Submitting waits for nothing, on any device; what was submitted is done in order, and can be polled, waited for and awaited.</summary>
public class SubmitTests
{
    static readonly TimeSpan hang = TimeSpan.FromSeconds(20);

    public static TheoryData<string, int> InPlace => new() { { "host", 1 }, { "host", 2 }, { "host", 3 }, { "reference", 1 } };

    public static TheoryData<string> All => [.. TestDevices.ForModels, "staged"];

    static IDevice Open(string name, int threads = 2) => name switch
    {
        "reference" => new ReferenceDevice(),
        "staged" => VulkanDevice.Open(TestDevices.Lavapipe, staged: true),
        _ => TestDevices.Open(name, threads),
    };

    /// <summary>A recording of one call whose units run <paramref name="body"/>.</summary>
    static Recording Record(IDevice device, int units, Action<int> body, int calls = 1)
    {
        void Units(Call call, int begin, int end)
        {
            for (int unit = begin; unit < end; unit++) body(unit);
        }
        var kernel = new Kernel { Name = "Test", Bindings = [], ArgBytes = 4, Units = _ => units, Reference = Units, Host = Units };
        return device.Record(gpu =>
        {
            for (int i = 0; i < calls; i++) gpu.Launch(kernel, i);
        });
    }

    [Theory, MemberData(nameof(InPlace))]
    public void The_caller_goes_on_while_bodies_run(string name, int threads)
    {
        using var device = Open(name, threads);
        using var gate = new ManualResetEventSlim();
        int ran = 0;
        using var recording = Record(device, 5, _ =>
        {
            Assert.True(gate.Wait(hang));
            Interlocked.Increment(ref ran);
        }, calls: 3);
        Completion first = device.Submit(recording), second = device.Submit(recording);
        Assert.False(first.IsDone || second.IsDone);
        gate.Set();
        second.Wait();
        Assert.True(first.IsDone && second.IsDone);
        Assert.Equal(30, ran);
        Assert.True(default(Completion).IsDone);
    }

    [Theory, MemberData(nameof(InPlace))]
    public void It_is_done_though_nobody_waits(string name, int threads)
    {
        using var device = Open(name, threads);
        int ran = 0;
        using var recording = Record(device, 100, _ => Interlocked.Increment(ref ran));
        using var nothing = Record(device, 0, _ => { });
        for (int i = 1; i <= 50; i++)
        {
            device.Submit(nothing);
            device.Submit(recording);
            var last = device.Submit(nothing);
            Assert.True(SpinWait.SpinUntil(() => last.IsDone, hang));
            Assert.Equal(100 * i, ran);
            if (i % 10 == 0) Thread.Sleep(20); // so long that its threads sleep
        }
    }

    [Theory, MemberData(nameof(InPlace))]
    public async Task So_many_threads_compute_as_were_asked_for(string name, int threads)
    {
        using var device = Open(name, threads);
        using var together = new Barrier(threads);
        using (var recording = Record(device, threads, _ => Assert.True(together.SignalAndWait(hang))))
            for (int i = 0; i < 20; i++) device.Submit(recording).Wait();
        int running = 0, most = 0;
        using var counted = Record(device, 64, _ =>
        {
            int now = Interlocked.Increment(ref running);
            for (int seen = most; now > seen && Interlocked.CompareExchange(ref most, now, seen) != seen; seen = most) { }
            Thread.SpinWait(1000);
            Interlocked.Decrement(ref running);
        });
        for (int i = 0; i < 20; i++)
        {
            Task[] waiting = [device.Submit(counted).WaitAsync(), device.Submit(counted).WaitAsync()];
            device.Submit(counted).Wait();
            await Task.WhenAll(waiting);
        }
        Assert.InRange(most, 1, threads);
    }

    [Theory, MemberData(nameof(InPlace))]
    public async Task A_failure_is_thrown_once_where_it_is_waited_for(string name, int threads)
    {
        using var device = Open(name, threads);
        int ran = 0;
        using var failing = Record(device, 3, unit =>
        {
            if (unit == 1 && Interlocked.Increment(ref ran) > 0) throw new FormatException("broken");
        }, calls: 4);
        using var good = Record(device, 3, _ => Interlocked.Increment(ref ran));
        var before = device.Submit(good);
        Completion failed = device.Submit(failing), after = device.Submit(good);
        before.Wait();
        Assert.IsType<FormatException>(Assert.Throws<InvalidOperationException>(failed.Wait).InnerException);
        failed.Wait();
        after.Wait();
        device.Wait();
        Assert.Equal(7, ran); // what came behind the failure in its recording was not run
        await Assert.ThrowsAsync<InvalidOperationException>(device.Submit(failing).WaitAsync);
        device.Submit(failing);
        using var memory = device.Allocate(64);
        var x = Tensor.Packed(memory, 0, DType.I32, 1, 1);
        Assert.Throws<InvalidOperationException>(() => device.Read(x, new byte[4]));
        device.Read(x, new byte[4]);
        device.Submit(failing); // nobody waits for this one
    }

    [Theory, MemberData(nameof(All))]
    public async Task What_is_submitted_and_written_happens_in_that_order(string name)
    {
        const int Rows = 300, Cols = 512;
        using var device = Open(name);
        using DeviceMemory memory = device.Allocate(3 * 4L * Rows * Cols), list = device.Allocate(4 * Rows);
        Tensor At(int i) => Tensor.OfRows(memory, i * 4L * Rows * Cols, DType.F32, Rows, Cols);
        var rows = Tensor.Packed(list, 0, DType.I32, 1, Rows);
        device.Write(rows, MemoryMarshal.AsBytes<int>([.. Enumerable.Range(0, Rows).Select(i => Rows - 1 - i)]));
        using Recording first = device.Record(gpu => gpu.Gather(At(0), rows, At(1), Tensor.None)),
            second = device.Record(gpu => gpu.Gather(At(1), rows, At(2), Tensor.None));
        float[] Values(int seed) => [.. Enumerable.Range(0, Rows * Cols).Select(i => (float)(i * seed))];
        void Write(int seed) => device.Write(At(0), MemoryMarshal.AsBytes<float>(Values(seed)));
        float[] Read(int i)
        {
            var found = new float[Rows * Cols];
            device.Read(At(i), MemoryMarshal.AsBytes(found.AsSpan()));
            return found;
        }
        for (int i = 1; i < 6; i++)
        {
            Write(i);
            device.Submit(first);
            var done = device.Submit(second);
            Write(100 + i);                      // not seen by what was submitted before
            Assert.Equal(Values(i), Read(2));
            Assert.True(done.IsDone);
            await device.Submit(first).WaitAsync();
            done = device.Submit(second);
            Assert.True(SpinWait.SpinUntil(() => done.IsDone, hang));
            Assert.Equal(Values(100 + i), Read(2));
        }
    }

    [Theory, MemberData(nameof(All))]
    public void A_device_goes_while_it_works(string name)
    {
        const int Cols = 1024;
        for (int i = 0; i < 3; i++)
        {
            using var device = Open(name);
            using DeviceMemory w = device.Allocate(Tile.Bytes(DType.Q8, Cols, Cols)), x = device.Allocate(Shaders.Rows.Bytes(DType.F32, 64, Cols));
            var rows = Tensor.OfRows(x, 0, DType.F32, 64, Cols);
            using var recording = device.Record(gpu => gpu.MatMul(Tensor.Weights(w, 0, DType.Q8, Cols, Cols), rows, rows, Tensor.None, Tensor.None));
            for (int j = 0; j < (name == "reference" ? 1 : 5); j++) device.Submit(recording);
        }
        Assert.Empty(VulkanDevice.ValidationMessages);
    }

    [Fact]
    public void A_body_is_not_left_running_when_its_memory_goes()
    {
        var device = new HostDevice(2);
        int finished = 0;
        var recording = Record(device, 4, _ =>
        {
            Thread.Sleep(20);
            Interlocked.Increment(ref finished);
        });
        var memory = device.Allocate(64);
        device.Submit(recording);
        memory.Dispose();
        Assert.Equal(4, finished);
        device.Submit(recording);
        device.Dispose();
        Assert.Equal(8, finished);
    }

    /// <summary>Vulkan's queue takes a second submission while the first is at work; a driver may be quick, so one try of a few must show it.</summary>
    [Fact]
    public void A_submission_does_not_wait_for_the_one_before()
    {
        const int Cols = 2048, Tokens = 64;
        using var device = Open("lavapipe");
        using DeviceMemory w = device.Allocate(Tile.Bytes(DType.Q8, Cols, Cols)), x = device.Allocate(Shaders.Rows.Bytes(DType.F32, Tokens, Cols));
        var rows = Tensor.OfRows(x, 0, DType.F32, Tokens, Cols);
        using var recording = device.Record(gpu =>
        {
            for (int i = 0; i < 4; i++) gpu.MatMul(Tensor.Weights(w, 0, DType.Q8, Cols, Cols), rows, rows, Tensor.None, Tensor.None);
        });
        bool pending = false;
        for (int i = 0; i < 5 && !pending; i++)
        {
            Completion first = device.Submit(recording), second = device.Submit(recording);
            pending = !first.IsDone;
            second.Wait();
            Assert.True(first.IsDone && second.IsDone);
        }
        Assert.True(pending);
    }

    [Fact]
    public void Submitting_allocates_nothing()
    {
        using var device = new HostDevice(2);
        using var recording = Record(device, 8, _ => { });
        long least = long.MaxValue;
        for (int attempt = 0; attempt < 3; attempt++)
        {
            for (int i = 0; i < 100; i++) device.Submit(recording).Wait();
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 1000; i++)
            {
                device.Submit(recording);
                device.Submit(recording).Wait();
            }
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        Assert.Equal(0, least);
    }
}
