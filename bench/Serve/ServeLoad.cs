using System.Diagnostics;
using Tessera.Scheduling;

namespace Tessera.Bench;

/// <summary>Requests with prompts of random ids, of which the cache has nothing, through the door that programs use.</summary>
sealed class ServeLoad
{
    const int Seed = 1, WarmMilliseconds = 1500;

    readonly Engine engine;
    readonly ServeRequest r;
    readonly GenerationOptions options;
    readonly CancellationToken stop;
    int clients;

    public ServeLoad(Engine engine, ServeRequest r, CancellationToken stop)
    {
        (this.engine, this.r, this.stop) = (engine, r, stop);
        options = new GenerationOptions
        {
            // as the makers advise; answers are as long as was asked for: what would end one is never drawn
            Sampling = new SamplingOptions { Temperature = 0.6f, TopK = 20, TopP = 0.95f, MinP = 0, RepetitionPenalty = 1, Seed = Seed },
            Biases = engine.Info.Generation.EndIds is { Length: > 0 } ends ? ends.Distinct().ToDictionary(id => id, _ => float.NegativeInfinity) : null,
            MaxTokens = r.Decode,
        };
    }

    /// <summary>Ids of a prompt, other for each client and each time.</summary>
    sealed class Ids(int seed, int count)
    {
        readonly Random random = new(seed);

        public int[] Next(int tokens, ReadOnlySpan<int> prefix = default)
        {
            var ids = new int[prefix.Length + tokens];
            prefix.CopyTo(ids);
            for (int i = prefix.Length; i < ids.Length; i++) ids[i] = random.Next(count);
            return ids;
        }
    }

    Ids Client() => new(SeedOf(Interlocked.Increment(ref clients)), engine.Model.RealIds);

    static int SeedOf(int client) => unchecked(Seed + client * (int)2654435761);

    Task<ServedAnswer> Read(int[] prompt, int tokens, CancellationToken cancel) =>
        ServedAnswer.Read(engine, prompt, options with { MaxTokens = tokens }, cancel);

    /// <summary>Answers, so many at once, until hot code is compiled: tiered compilation rewrites it in the background.</summary>
    public async Task Warm(int streams)
    {
        long start = Stopwatch.GetTimestamp();
        do { await AtOnce(streams, Math.Min(r.Prefill, 128), Math.Min(r.Decode, 16)); }
        while (Stopwatch.GetElapsedTime(start).TotalMilliseconds < WarmMilliseconds);
    }

    /// <summary>All streams start at once, and are read to their ends.</summary>
    async Task<ServedAnswer[]> AtOnce(int streams, int prefill, int decode)
    {
        var reading = new Task<ServedAnswer>[streams];
        for (int i = 0; i < streams; i++)
        {
            int[] prompt = Client().Next(prefill);
            reading[i] = Task.Run(() => Read(prompt, decode, stop));
        }
        var answers = await Task.WhenAll(reading);
        stop.ThrowIfCancellationRequested();
        return answers;
    }

    /// <summary>All streams start at once: tokens a second while all of them decode, the median of so many times; null: they never did.</summary>
    public async Task<double?> Together(int streams)
    {
        var rates = new List<double>();
        for (int time = 0; time < r.Answers; time++)
        {
            var answers = await AtOnce(streams, r.Prefill, r.Decode);
            long from = answers.Max(a => a.First), to = answers.Min(a => a.Last);
            if (to > from) rates.Add(ServeFigures.Of(answers, from, to).Tps);
        }
        return Ranks.Of(rates).Median;
    }

    /// <summary>Each stream asks again as soon as it is answered, until all have had their answers within the time that is measured.</summary>
    public async Task<ServeFigures> Closed(int streams)
    {
        var read = new List<ServedAnswer>();
        using var done = CancellationTokenSource.CreateLinkedTokenSource(stop);
        int warm = 0, finished = 0;
        long from = 0, to = 0;
        async Task Stream(int index)
        {
            var ids = Client();
            // The first answers are of different lengths: from then on prompts come one by one.
            await Read(ids.Next(r.Prefill), Math.Max(1, (int)((long)r.Decode * (index + 1) / streams)), done.Token);
            if (Interlocked.Increment(ref warm) == streams) Volatile.Write(ref from, Stopwatch.GetTimestamp());
            for (int count = 0; !done.IsCancellationRequested;)
            {
                bool counts = Volatile.Read(ref from) != 0;
                var answer = await Read(ids.Next(r.Prefill), r.Decode, done.Token);
                lock (read) read.Add(answer);
                if (!counts || ++count != r.Answers || Interlocked.Increment(ref finished) != streams) continue;
                to = Stopwatch.GetTimestamp();
                done.Cancel();
            }
        }
        await Run(streams, Stream, done);
        return ServeFigures.Of(read, from, to);
    }

    /// <summary>Requests that arrive at random, at a mean rate, whatever runs; and how many of them met the objective.</summary>
    public async Task<(ServeFigures Figures, int Met)> Open(double rate)
    {
        var ids = Client();
        var random = new Random(Seed);
        var reading = new List<Task<ServedAnswer>>();
        using var done = CancellationTokenSource.CreateLinkedTokenSource(stop);
        double due = 0;                                      // seconds from the start
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < r.Requests && reading.TrueForAll(t => !t.IsFaulted); i++)
        {
            if (i > 0) due += -Math.Log(1 - random.NextDouble()) / rate;
            double wait = due - Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (wait > 0) await Task.Delay(TimeSpan.FromSeconds(wait), stop);
            int[] prompt = ids.Next(r.Prefill);
            reading.Add(Task.Run(() => Read(prompt, r.Decode, done.Token)));
        }
        var answers = await Task.WhenAll(reading);
        stop.ThrowIfCancellationRequested();
        int met = answers.Count(a => a.FirstMs <= r.FirstMs && a.TokenMs <= r.TokenMs);
        return (ServeFigures.Of(answers, start, answers.Max(a => a.Last)), met);
    }

    /// <summary>While streams decode, long prompts arrive one after the other: what the streams saw of it, and what came of the prompts.</summary>
    public async Task<(ServeFigures Streams, ServeFigures Arrivals)> Arrive(int streams, int tokens)
    {
        List<ServedAnswer> read = [], arrivals = [];
        using var done = CancellationTokenSource.CreateLinkedTokenSource(stop);
        int decoding = 0;
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        long from = 0, to = 0;
        async Task Stream(int index)
        {
            var ids = Client();
            if (index == streams)
            {
                await begun.Task.WaitAsync(done.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                await Read(ids.Next(tokens), 1, done.Token); // steps are estimated from those before
                from = Stopwatch.GetTimestamp();
                while (arrivals.Count < r.Answers && !done.IsCancellationRequested) arrivals.Add(await Read(ids.Next(tokens), 1, done.Token));
                to = Stopwatch.GetTimestamp();
                done.Cancel();
                return;
            }
            await Read(ids.Next(r.Prefill), 1, done.Token);
            if (Interlocked.Increment(ref decoding) == streams) begun.SetResult();
            while (!done.IsCancellationRequested)
            {
                var answer = await Read(ids.Next(r.Prefill), r.Decode, done.Token);
                lock (read) read.Add(answer);
            }
        }
        await Run(streams + 1, Stream, done);
        return (ServeFigures.Of(read, from, to), ServeFigures.Of(arrivals, from, to));
    }

    /// <summary>Prompts that begin alike, one after the other: the first, and those behind it.</summary>
    public async Task<(Ranks First, Ranks Behind, int CachedTokens)> Shared(int tokens)
    {
        const int Behind = 2;
        var ids = Client();
        List<double> first = [], behind = [];
        int cached = int.MaxValue;
        await Read(ids.Next(tokens + r.Prefill), r.Decode, stop);
        for (int i = 0; i < r.Answers; i++)
        {
            int[] prefix = ids.Next(tokens);
            for (int j = 0; j <= Behind; j++)
            {
                var answer = await Read(ids.Next(r.Prefill, prefix), r.Decode, stop);
                stop.ThrowIfCancellationRequested();
                (j == 0 ? first : behind).Add(answer.FirstMs);
                if (j > 0) cached = Math.Min(cached, answer.CachedTokens);
            }
        }
        return (Ranks.Of(first), Ranks.Of(behind), cached);
    }

    /// <summary>Tokens of one prompt that are computed for several answers to it.</summary>
    public async Task<int> ComputedTokens(int tokens, int answers)
    {
        var request = Request.Of(Client().Next(tokens), options with { Answers = answers }, engine.Info.Generation, engine.Tokenizer);
        var stream = engine.Scheduler.Submit(request);
        using var cancelling = stop.Register(stream.Cancel);
        await foreach (var _ in stream.Events.ReadAllAsync(CancellationToken.None)) { }
        stop.ThrowIfCancellationRequested();
        return stream.ComputedPromptTokens;
    }

    /// <summary>Runs so many at once, to their end; the first that fails ends all.</summary>
    async Task Run(int count, Func<int, Task> one, CancellationTokenSource done)
    {
        await Task.WhenAll(Enumerable.Range(0, count).Select(i => Task.Run(async () =>
        {
            try { await one(i); }
            catch
            {
                done.Cancel();
                throw;
            }
        })));
        stop.ThrowIfCancellationRequested();
    }
}
