using System.Threading.Channels;
using Tessera.Runtime.Models;

namespace Tessera.Scheduling;

/// <summary>How a scheduler divides a device.</summary>
sealed record SchedulerOptions
{
    /// <summary>Requests that may wait; one more is refused.</summary>
    public int MaxQueued { get; init; } = 256;

    /// <summary>Tokens of a step at most; 0: what the runner takes.</summary>
    public int StepTokens { get; init; }

    /// <summary>Milliseconds that a step may be thought to take while somebody decodes.</summary>
    public double StepMilliseconds { get; init; } = 130;

    /// <summary>The time of waiting that a priority is worth.</summary>
    public TimeSpan AgingPeriod { get; init; } = TimeSpan.FromSeconds(10);
}

/// <summary>
/// Many requests on one runner, which is the loop's alone: one thread drains what came in, plans a step, submits it, gives out the last step's tokens while
/// the device works, and settles what the step computed. <see cref="Submit"/> and <see cref="Dispose"/> may be called by any thread.
/// </summary>
sealed partial class Scheduler : IDisposable
{
    readonly Runner runner;
    readonly TimeProvider clock;
    readonly TimeSpan agingPeriod;
    readonly int maxQueued, context;
    readonly Budget budget;
    readonly Channel<RequestStream> inbox = Channel.CreateUnbounded<RequestStream>(new UnboundedChannelOptions { SingleReader = true });
    readonly State state;
    readonly Plan plan;
    readonly StepCost cost = new();
    readonly List<RequestStream> active = [];
    readonly List<(RequestStream Stream, TokenEvent Event)> undelivered = [];
    readonly List<(RequestStream Stream, Exception? Error)> completed = [];
    readonly Lock device = new();                            // of the step that runs
    readonly Func<bool> isStopped;
    Thread? thread;
    volatile bool stopping;
    Exception? failure;
    int queued;
    long arrivals;

    /// <param name="runner">Has a row of wanted logits, and a set of rules, for each row of its block table. Stays the caller's to dispose, afterwards.</param>
    public Scheduler(Runner runner, SchedulerOptions? options = null, TimeProvider? clock = null)
    {
        options ??= new SchedulerOptions();
        var limits = runner.Limits;
        if (limits.Wanted < limits.Sequences || limits.RuleSets < limits.Sequences || limits.Tokens < limits.Sequences)
            throw new TesseraException($"scheduler: expected a runner with a token, wanted logits and rules for each of its {limits.Sequences} sequences, "
                + $"found {limits.Tokens}, {limits.Wanted} and {limits.RuleSets}");
        (this.runner, this.clock, agingPeriod, maxQueued) = (runner, clock ?? TimeProvider.System, options.AgingPeriod, options.MaxQueued);
        int tokens = options.StepTokens > 0 ? Math.Min(options.StepTokens, limits.Tokens) : limits.Tokens;
        budget = new Budget(Math.Max(tokens, limits.Sequences), options.StepMilliseconds);
        context = Admission.Context(limits.BlocksPerSequence, limits.Blocks);
        isStopped = IsStopped;
        (state, plan) = (new State(limits.Blocks, limits.Sequences), new Plan(limits.Sequences, limits.BlocksPerSequence));
    }

    /// <summary>Tokens of prompt and answer together.</summary>
    public int Context => context;

    /// <summary>Who has what; the loop's.</summary>
    internal State State => state;

    /// <summary>What the last step computed; the loop's.</summary>
    internal Plan LastPlan => plan;

    /// <summary>How often a sequence lost its blocks to another; the loop's.</summary>
    internal int Preemptions { get; private set; }

    /// <summary>Queues a request. Its tokens come out of the stream.</summary>
    /// <exception cref="QueueFullException">As many wait as may.</exception>
    /// <exception cref="TesseraException">The request cannot be answered: says why.</exception>
    /// <exception cref="ObjectDisposedException">The scheduler is disposed.</exception>
    public RequestStream Submit(Request request)
    {
        Check(request);
        long now = clock.GetTimestamp();
        long deadline = request.Timeout is { } timeout ? now + (long)(timeout.TotalSeconds * clock.TimestampFrequency) : long.MaxValue;
        int limit = request.MaxTokens > 0 ? (int)Math.Min(context, request.Prompt.Length + (long)request.MaxTokens - 1) : context;
        var stream = new RequestStream(request, limit, clock.GetElapsedTime(0, now).Ticks, deadline);
        if (Interlocked.Increment(ref queued) > maxQueued)
        {
            Interlocked.Decrement(ref queued);
            throw new QueueFullException($"{maxQueued} requests wait already: expected room for one more; try again later");
        }
        if (!inbox.Writer.TryWrite(stream)) throw failure is { } error ? Failed(error) : Disposed();
        return stream;
    }

    /// <exception cref="TesseraException">The request cannot be answered: says why.</exception>
    public void Check(Request request) => request.Check(runner.RealIds, context);

    /// <summary>Uses the device while no step does.</summary>
    /// <exception cref="ObjectDisposedException">The scheduler is disposed.</exception>
    public T BetweenSteps<T>(Func<T> use)
    {
        lock (device) return stopping ? throw Disposed() : use();
    }

    /// <summary>Starts the loop's thread.</summary>
    public void Start()
    {
        thread = new Thread(Run) { Name = "Tessera scheduler", IsBackground = true };
        thread.Start();
    }

    void Run()
    {
        try
        {
            while (!stopping && inbox.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
                while (!stopping && Step()) { }
        }
        catch (Exception e) { failure = e; }
        Finish();
    }

    /// <summary>One turn of the loop. False: there is nothing to do.</summary>
    internal bool Step()
    {
        Drain();
        Planner.Plan(state, budget, cost, plan);
        Drafts.Add(state, budget, cost, plan, runner.Limits.Wanted);
        Preemptions += plan.Preempted;
        long start = clock.GetTimestamp();
        lock (device)
        {
            Fill();
            bool whole = runner.Batch.Count == 0 || runner.Run(isStopped);
            Deliver();                                       // the last step's tokens, while the device works
            if (plan.Tokens == 0) return false;
            runner.Wait();
            if (!whole) return true;                         // nobody waits for it any more
            Settle();
        }
        cost.Add(plan.Tokens, plan.Context, clock.GetElapsedTime(start).TotalMilliseconds);
        return true;
    }

    /// <summary>Ends every request with one exception, in the time of a step. What was drawn before it comes out before it.</summary>
    /// <exception cref="InvalidOperationException">Called by the loop, which would wait for itself.</exception>
    public void Dispose()
    {
        if (thread == Thread.CurrentThread) throw new InvalidOperationException("a mask cannot dispose the engine that calls it");
        stopping = true;
        inbox.Writer.TryComplete();
        if (thread is { } loop) loop.Join();
        else Finish();
        lock (device) { }                                    // nobody uses it between steps any more
    }

    void Finish()
    {
        inbox.Writer.TryComplete();                          // from here on nobody gets in
        Deliver();
        while (inbox.Reader.TryRead(out var stream)) active.Add(stream);
        foreach (var stream in active)
        {
            foreach (var answer in stream.Answers) if (!answer.Ended) state.End(answer);
            stream.Complete(failure is { } error ? Failed(error) : Disposed());
        }
        active.Clear();
    }

    static ObjectDisposedException Disposed() => new(nameof(Engine), "the engine was disposed while this request waited or ran");

    static Exception Failed(Exception error) => error is TesseraException ? error : new TesseraException($"the scheduler stopped: {error.Message}", error);
}
