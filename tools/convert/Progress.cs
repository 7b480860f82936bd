using System.Diagnostics;
using Spectre.Console;

namespace Tessera.Convert;

/// <summary>A bar with rate and time left on a terminal; nothing in a pipe.</summary>
static class Progress
{
    public static void Run(string title, long bytes, Action<Action<long>> work)
    {
        if (Console.IsOutputRedirected || Console.IsErrorRedirected)
        {
            work(_ => { });
            return;
        }
        AnsiConsole.Progress().AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new DownloadedColumn(), new TransferSpeedColumn(),
                new RemainingTimeColumn())
            .Start(context =>
            {
                var bar = context.AddTask(title, maxValue: Math.Max(bytes, 1));
                var shown = Stopwatch.StartNew();
                long waiting = 0;
                work(done =>
                {
                    waiting += done;
                    if (shown.ElapsedMilliseconds < 50) return;
                    bar.Increment(waiting);
                    waiting = 0;
                    shown.Restart();
                });
                bar.Value = bar.MaxValue;
            });
    }
}
