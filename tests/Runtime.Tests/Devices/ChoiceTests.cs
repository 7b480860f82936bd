using Tessera.Runtime.Devices;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Runtime.Tests.Devices;

/// <summary>The device a model is loaded on: the one named or an error, else the first that can hold it.</summary>
public sealed class ChoiceTests : IDisposable
{
    readonly GoldenModel model = new("numbers-dense", DType.Q8);

    public void Dispose() => model.Dispose();

    const long Small = 20L << 20, Large = 400L << 20;

    [ThreadStatic]
    static List<(DeviceEntry Entry, Func<IDevice> Open)>? devices; // seen by the test that made them only

    static ChoiceTests() => DeviceCatalog.Register(new DeviceCatalog.Backend("fake", () => [.. (devices ?? []).Select(d => d.Entry)], index =>
        devices![index].Open()));

    static List<FakeDevice> Offer(params (DeviceKind Kind, long Free, string? Reason)[] offered)
    {
        var opened = new List<FakeDevice>();
        devices = [.. offered.Select((d, i) => (new DeviceEntry($"fake:{i}", "made up", d.Kind, d.Reason), (Func<IDevice>)(() =>
        {
            if (d.Free < 0) throw new TesseraException($"fake:{i}: its driver is broken");
            opened.Add(new FakeDevice($"fake:{i}", d.Free));
            return opened[^1];
        })))];
        return opened;
    }

    [Fact]
    public void The_first_that_can_hold_the_model_is_taken_and_those_before_it_are_told()
    {
        var opened = Offer((DeviceKind.Software, Large, null), (DeviceKind.Integrated, Large, null), (DeviceKind.Discrete, Small, null),
            (DeviceKind.Discrete, -1, null), (DeviceKind.Discrete, Large, "its driver is too old"));
        var status = new List<string>();
        using (var one = new OneSequence(model.FilePath, new ModelOptions { Context = 4096, OnStatus = status.Add }))
        {
            Assert.Equal("fake:1", one.Model.Device.Name);
            one.Take([5, 6, 7], SamplingOptions.Greedy, 1);
        }
        var told = status.Where(line => line.StartsWith("fake", StringComparison.Ordinal)).ToList(); // a machine's own devices may be told too
        Assert.Equal(3, told.Count);
        Assert.Contains("fake:2 (made up) is passed over: numbers-dense does not fit fake:2", told[0]);
        Assert.Contains("fake:3: its driver is broken", told[1]);
        Assert.Contains("fake:4 (made up) is passed over: its driver is too old", told[2]);
        Assert.StartsWith("numbers-dense fits fake:1", status[^1]);
        Assert.All(opened, device => Assert.True(device.Disposed));
    }

    [Fact]
    public void A_device_that_is_named_is_used_or_it_is_an_error()
    {
        var opened = Offer((DeviceKind.Discrete, Small, null), (DeviceKind.Software, Large, null));
        var e = Assert.Throws<TesseraException>(() => Model.Load(model.FilePath, new ModelOptions { Device = "fake:0", Context = 4096 }));
        Assert.Contains("numbers-dense does not fit fake:0", e.Message);
        Assert.True(Assert.Single(opened).Disposed);
        using var loaded = Model.Load(model.FilePath, new ModelOptions { Device = "fake:1" });
        Assert.Equal("fake:1", loaded.Device.Name);
    }

    [Fact]
    public void Where_none_does_the_last_reason_is_told()
    {
        Offer((DeviceKind.Discrete, Small, null));
        var refused = new List<string>();
        var e = Assert.Throws<TesseraException>(() => DeviceCatalog.OpenFirst(1, device =>
        {
            refused.Add(device.Name);
            return $"{device.Name} is too small";
        }, _ => { }));
        Assert.Contains("fake:0", refused);
        Assert.Equal(("host", "host is too small"), (refused[^1], e.Message));
    }

    [Fact]
    public void A_load_that_is_stopped_leaves_the_device()
    {
        var opened = Offer((DeviceKind.Discrete, Large, null));
        using var stop = new CancellationTokenSource();
        int calls = 0;
        long before = 0;
        Assert.Throws<OperationCanceledException>(() => Model.Load(model.FilePath, new ModelOptions
        {
            Device = "fake:0",
            OnProgress = (copied, total) =>
            {
                Assert.InRange(copied, before + 1, total);
                before = copied;
                if (++calls == 3) stop.Cancel();
            },
        }, stop.Token));
        Assert.Equal(3, calls);
        Assert.Equal(2, Assert.Single(opened).Loaded.Count);
        Assert.True(opened[0].Disposed);
    }
}
