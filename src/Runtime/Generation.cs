using System.Diagnostics;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using Tessera.Runtime.Models;
using Tessera.Runtime.Sampling;

namespace Tessera;

/// <summary>Why a generation ended.</summary>
public enum EndReason { Stopped, EndOfAnswer, MaxTokens, ContextFull, Deadline }

/// <summary>The prompt leaves no room for an answer.</summary>
public sealed class ContextFullException(string message) : TesseraException(message);

/// <summary>
/// What a generation did: times in seconds, the bytes of weights read per token, and a hash of the last logits that compares runs on one device (0: nothing
/// was drawn).
/// </summary>
public sealed record GenerationReport(
    int PromptTokens, int CachedTokens, int Tokens, double PrefillSeconds, double DecodeSeconds, long StepBytes, uint LogitsHash, EndReason End)
{
    public double TokensPerSecond => DecodeSeconds > 0 ? Math.Max(0, Tokens - 1) / DecodeSeconds : 0;

    /// <summary>Bytes of weights per second while decoding.</summary>
    public double BytesPerSecond => TokensPerSecond * StepBytes;
}

/// <summary>
/// One answer in the making: the prompt is computed at once, then <see cref="Next"/> gives a token at a time, without allocating. Cancelling ends a long
/// prompt where it is.
/// </summary>
public sealed class Generation
{
    const int Set = 0;                                   // of the runner's rules

    readonly Engine engine;
    readonly List<int> cached;
    readonly Sampler sampler;
    readonly SamplingOptions sampling;
    readonly int promptTokens, cachedTokens, maxTokens;
    readonly bool prefilled;
    readonly double prefillSeconds;
    long decodeTicks;
    int tokens;
    EndReason end = EndReason.Stopped;

    internal Generation(Engine engine, List<int> cached, ReadOnlySpan<int> prompt, SamplingOptions sampling, int maxTokens, CancellationToken stop)
    {
        (this.engine, this.cached, this.sampling, this.maxTokens) = (engine, cached, sampling, maxTokens);
        sampler = new Sampler(sampling, engine.Runner.RealIds);
        if (prompt.Length == 0) throw new TesseraException("the prompt is empty: expected at least one token");
        if (prompt.Length >= engine.Context)
            throw new ContextFullException(
                $"the prompt has {prompt.Length} tokens, the context holds {engine.Context} with the answer; shorten it or load with a larger context");
        foreach (int id in prompt)
            if ((uint)id >= (uint)engine.Info.Config.Vocabulary) throw new TesseraException($"token {id}: expected 0 to {engine.Info.Config.Vocabulary - 1}");
        if (Penalised)
        {
            Rules.Clear(Set);
            foreach (int id in prompt) Rules.Edit(Set, id, 0, sampling.RepetitionPenalty!.Value);
        }
        long start = Stopwatch.GetTimestamp();
        cachedTokens = KeepCommon(prompt);
        prefilled = Prefill(prompt[cachedTokens..], stop);
        promptTokens = cached.Count;
        engine.Runner.Wait();
        prefillSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        cached.EnsureCapacity(Math.Min(engine.Context, prompt.Length + (maxTokens > 0 ? maxTokens : engine.Context)));
    }

    LogitRules Rules => engine.Runner.Rules;

    bool Penalised => sampling.PresencePenalty != 0 || sampling.RepetitionPenalty != 1;

    /// <summary>The next token, or null at the end; the id that ends an answer is not given out.</summary>
    public int? Next()
    {
        if (end != EndReason.Stopped || !prefilled) return null;
        if (tokens > 0)
        {
            long start = Stopwatch.GetTimestamp();
            Step(cached[^1], cached.Count - 1);
            int drawn = sampler.Draw(engine.Runner, 0);
            decodeTicks += Stopwatch.GetTimestamp() - start;
            return Take(drawn);
        }
        return Take(sampler.Draw(engine.Runner, 0));
    }

    public GenerationReport Report()
    {
        uint hash = tokens > 0 ? XxHash32.HashToUInt32(MemoryMarshal.AsBytes<float>(engine.LastLogits())) : 0;
        return new(promptTokens, cachedTokens, tokens, prefillSeconds, Stopwatch.GetElapsedTime(0, decodeTicks).TotalSeconds, engine.StepBytes, hash, end);
    }

    int? Take(int id)
    {
        tokens++;
        foreach (int stop in engine.Info.Generation.EndIds)
            if (id == stop)
            {
                end = EndReason.EndOfAnswer;
                return null;
            }
        if (cached.Count >= engine.Context)
        {
            end = EndReason.ContextFull;
            return id;
        }
        cached.Add(id); // its keys and values follow with the next step
        if (Penalised) Rules.Edit(Set, id, sampling.PresencePenalty, sampling.RepetitionPenalty!.Value);
        if (maxTokens > 0 && tokens >= maxTokens) end = EndReason.MaxTokens;
        return id;
    }

    /// <summary>Keeps what the cache shares with the prompt, but for the last token, whose logits are wanted.</summary>
    int KeepCommon(ReadOnlySpan<int> prompt)
    {
        int common = CollectionsMarshal.AsSpan(cached).CommonPrefixLength(prompt);
        // The last token taken from a generation may not have been computed: it is never counted as kept.
        common = Math.Min(common, Math.Min(prompt.Length, cached.Count) - 1);
        common = Math.Max(common, 0);
        cached.RemoveRange(common, cached.Count - common);
        return common;
    }

    /// <summary>False where it was cancelled; what was computed stays valid.</summary>
    bool Prefill(ReadOnlySpan<int> rest, CancellationToken stop)
    {
        for (int at = 0; at < rest.Length;)
        {
            if (stop.IsCancellationRequested) return false;
            int count = Math.Min(engine.Limits.Tokens, rest.Length - at);
            var batch = engine.Runner.Batch;
            batch.Clear();
            for (int i = 0; i < count; i++) batch.Add(rest[at + i], 0, cached.Count + i, wanted: at + i == rest.Length - 1, Penalised ? Set : -1);
            if (!engine.Runner.Run(stop)) return false;
            for (int i = 0; i < count; i++) cached.Add(rest[at + i]);
            at += count;
        }
        return true;
    }

    void Step(int token, int position)
    {
        var batch = engine.Runner.Batch;
        batch.Clear();
        batch.Add(token, 0, position, wanted: true, Penalised ? Set : -1);
        engine.Runner.Run();
    }
}
