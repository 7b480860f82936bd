using Tessera.Runtime.Devices.Ledger;
using Xunit;

namespace Tessera.Scheduling.Tests;

/// <summary>The loop on its own thread: many callers at once, and disposal at any moment.</summary>
public class ThreadTests
{
    /// <summary>Only so that a test that would hang ends.</summary>
    static readonly TimeSpan patience = TimeSpan.FromSeconds(30);

    static async Task<List<int>> Collect(RequestStream stream)
    {
        var ids = new List<int>();
        await foreach (var one in stream.Events.ReadAllAsync()) if (one.Id >= 0) ids.Add(one.Id);
        return ids;
    }

    [Fact]
    public async Task Sixteen_callers_at_once_get_the_answers_of_one()
    {
        using var ledger = new Ledger(rows: 8, blocks: 60, clock: TimeProvider.System);
        ledger.Scheduler.Start();
        var callers = Enumerable.Range(0, 16).Select(caller => Task.Run(async () =>
        {
            for (int i = 0; i < 20; i++)
            {
                int[] prompt = Ledger.Prompt(10 + (caller * 31 + i * 17) % 90, caller % 5);
                Assert.Equal(Ledger.Expected(prompt, 12), await Collect(ledger.Submit(Ledger.Continue(prompt, 12))));
            }
        }));
        await Task.WhenAll(callers).WaitAsync(patience);
        ledger.Scheduler.Dispose();
        Assert.Equal(0, ledger.Pool.Held);
    }

    [Fact]
    public async Task Disposing_ends_every_call_with_one_exception()
    {
        for (int round = 0; round < 20; round++)
        {
            using var ledger = new Ledger(rows: 2, clock: TimeProvider.System, options: new SchedulerOptions { MaxQueued = 1000 });
            ledger.Scheduler.Start();
            var calls = Enumerable.Range(0, 300).Select(i => Collect(ledger.Submit(Ledger.Continue(Ledger.Prompt(5 + i % 50, i), 500)))).ToList();
            for (int spin = 0; spin < round; spin++) Thread.Yield();
            await Task.Run(() => Parallel.Invoke(ledger.Scheduler.Dispose, ledger.Scheduler.Dispose)).WaitAsync(patience); // twice, and at once
            ledger.Scheduler.Dispose();
            int disposed = 0;
            foreach (var call in calls)
                try { Assert.Equal(500, (await call.WaitAsync(patience)).Count); } // the first may be done by then
                catch (ObjectDisposedException) { disposed++; }
            Assert.InRange(disposed, 200, 300);
            Assert.Throws<ObjectDisposedException>(() => ledger.Submit(Ledger.Continue([1])));
            Assert.Equal(0, ledger.Pool.Held);
        }
    }

    [Fact]
    public async Task Calls_made_while_it_is_disposed_end_too()
    {
        for (int round = 0; round < 30; round++)
        {
            using var ledger = new Ledger(clock: TimeProvider.System);
            ledger.Scheduler.Start();
            var callers = Enumerable.Range(0, 4).Select(caller => Task.Run(async () =>
            {
                for (int i = 0; ; i++)
                    try { await Collect(ledger.Submit(Ledger.Continue(Ledger.Prompt(8, i), 3))); }
                    catch (ObjectDisposedException) { return; }
            })).ToArray();
            await Task.Delay(round % 3);
            ledger.Scheduler.Dispose();
            await Task.WhenAll(callers).WaitAsync(patience);
        }
    }

    [Fact]
    public async Task A_device_that_fails_fails_every_call_with_what_it_says()
    {
        using var ledger = new Ledger(clock: TimeProvider.System, script: history => history.Length > 20 ? throw new DeviceLostException("gone") : 5);
        ledger.Scheduler.Start();
        var calls = Enumerable.Range(0, 6).Select(i => Collect(ledger.Submit(Ledger.Continue(Ledger.Prompt(5 + i), 100)))).ToList();
        foreach (var call in calls) Assert.Equal("gone", (await Assert.ThrowsAsync<DeviceLostException>(() => call.WaitAsync(patience))).Message);
        Assert.Equal("gone", Assert.Throws<DeviceLostException>(() => ledger.Submit(Ledger.Continue([1]))).Message);
        ledger.Scheduler.Dispose();
    }

    [Fact]
    public async Task Cancelling_at_any_moment_ends_a_call_and_no_other()
    {
        using var ledger = new Ledger(rows: 4, blocks: 30, clock: TimeProvider.System);
        ledger.Scheduler.Start();
        var random = new Random(1);
        var calls = new List<Task>();
        for (int i = 0; i < 150; i++)
        {
            int[] prompt = Ledger.Prompt(random.Next(1, 90), i % 4);
            var stream = ledger.Submit(Ledger.Continue(prompt, 30));
            bool cancels = i % 3 == 0;
            calls.Add(Task.Run(async () =>
            {
                if (cancels) stream.Cancel();
                var ids = await Collect(stream);
                Assert.True(cancels || ids.Count == 30);
                Assert.Equal(Ledger.Expected(prompt, ids.Count), ids);
            }));
        }
        await Task.WhenAll(calls).WaitAsync(patience);
        ledger.Scheduler.Dispose();
        Assert.Equal(0, ledger.Pool.Held);
    }
}
