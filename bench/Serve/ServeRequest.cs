namespace Tessera.Bench;

/// <summary>What `bench serve` is asked for. At most one of rate, arrive and shared: without any it is a closed loop.</summary>
/// <param name="Streams">Answers at once, a setting each.</param>
/// <param name="Prefill">Tokens of a prompt.</param>
/// <param name="Decode">Tokens of an answer.</param>
/// <param name="Answers">Of each stream that are measured.</param>
/// <param name="Rate">Requests a second that arrive, however many run.</param>
/// <param name="Requests">Of them, all.</param>
/// <param name="FirstMs">The objective of goodput: to the first token, and for each behind it.</param>
/// <param name="Arrive">Tokens of the prompts that arrive while streams decode.</param>
/// <param name="Shared">Tokens that prompts begin with, all of them.</param>
/// <param name="StepMs">See <see cref="EngineOptions.StepMilliseconds"/>.</param>
sealed record ServeRequest(string? Device, string? Model, string? Synthetic, string DType, Numerics Numerics, string? Kv, int Threads, int[] Streams,
    int Prefill, int Decode, int Answers, double? Rate, int Requests, double FirstMs, double TokenMs, int? Arrive, int? Shared, double StepMs, bool Json,
    string? Svg)
{
    /// <summary>Answers to one prompt, where what they share is looked at.</summary>
    public const int SharedAnswers = 4;

    /// <summary>Numbers of streams, with commas.</summary>
    /// <exception cref="TesseraException">It is no such list.</exception>
    public static int[] ParseStreams(string text)
    {
        const int Max = 4096, MaxSettings = 64;
        string[] parts = text.Split(',');
        var streams = new int[parts.Length];
        for (int i = 0; i < parts.Length; i++)
            if (parts.Length > MaxSettings || !int.TryParse(parts[i], System.Globalization.NumberStyles.None, null, out streams[i])
                || streams[i] is < 1 or > Max)
                throw new TesseraException($"--streams: expected numbers of 1 to {Max} with commas, at most {MaxSettings}, found '{text}'");
        return streams;
    }

    /// <exception cref="TesseraException">It cannot be measured: says why.</exception>
    public void Check()
    {
        if (Model is null == Synthetic is null) throw new TesseraException("expected --model FILE or --synthetic SHAPE");
        if (new[] { Rate is null, Arrive is null, Shared is null }.Count(absent => !absent) > 1)
            throw new TesseraException("--rate, --arrive and --shared: expected one of them");
        if (Rate is not null && Streams.Length > 1)
            throw new TesseraException($"--streams with --rate: expected one number, how many answers may run at once, found {Streams.Length}");
        if (Svg is not null && (Rate ?? Arrive ?? Shared) is not null)
            throw new TesseraException("--svg: expected no --rate, --arrive or --shared: it plots streams that ask again as soon as they are answered");
    }

    /// <summary>Room for every answer, all of their prompts and tokens in the cache.</summary>
    public EngineOptions EngineOptions()
    {
        const int MinContext = 512;                          // the tokens of a step, which a smaller one would cut
        int blocks(int tokens) => (tokens + Shaders.KvBlock.Tokens - 1) / Shaders.KvBlock.Tokens;
        int rows = Shared is null ? Streams.Max() : SharedAnswers, length = (Shared ?? 0) + Prefill + Decode, context = length;
        long pool = (long)blocks(length) * rows;
        if (Arrive is { } arriving) (rows, context, pool) = (rows + 1, Math.Max(length, arriving + 1), pool + blocks(arriving + 1));
        context = Math.Max(context, MinContext);
        if (pool * Shaders.KvBlock.Tokens > int.MaxValue)
            throw new TesseraException($"expected at most {int.MaxValue} tokens in the cache, "
                + $"found {rows} answers of {length}; use less --streams, --pp or --tg");
        return new EngineOptions
        {
            Device = Device, Numerics = Numerics, Cache = Kv is null ? null : Enum.Parse<CacheType>(Kv, ignoreCase: true), Threads = Threads,
            Context = context, Sequences = rows, CacheTokens = (int)pool * Shaders.KvBlock.Tokens, StepMilliseconds = StepMs,
            MaxQueued = Math.Max(rows, Requests),
        };
    }
}
