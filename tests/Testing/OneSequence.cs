using Tessera.Runtime.Models;
using Tessera.Runtime.Sampling;

namespace Tessera.Testing;

/// <summary>A model that continues one sequence, a token at a time and without a scheduler: what answers are compared with, and a look at logits.</summary>
public sealed class OneSequence : IDisposable
{
    const int Set = 0;                                   // of the runner's rules

    readonly List<int> ids = [];
    SamplingOptions sampling = SamplingOptions.Greedy;
    Sampler? sampler;
    int computed;

    public OneSequence(string path, ModelOptions? options = null)
    {
        Model = Model.Load(path, (options ?? new ModelOptions { Device = "host" }) with { Sequences = 1 });
        Runner = Model.OpenRunner();
        Runner.Cache.SetRuns();
    }

    public Model Model { get; }

    public Runner Runner { get; }

    public int Context => Runner.Limits.BlocksPerSequence * Shaders.KvBlock.Tokens;

    /// <summary>Computes a prompt from its beginning.</summary>
    public void Start(ReadOnlySpan<int> prompt, SamplingOptions options)
    {
        ids.Clear();
        ids.AddRange(prompt);
        (computed, sampling) = (0, options.Over(Model.Info.Generation, thinking: true));
        sampler = new Sampler(sampling, Runner.RealIds);
        Runner.Rules.Clear(Set);
        foreach (int id in prompt) Penalise(id, 0);
        Compute();
    }

    /// <summary>The next token; no id ends an answer.</summary>
    public int Next()
    {
        Compute();
        int id = sampler!.Draw(Runner, 0);
        ids.Add(id);
        Penalise(id, sampling.PresencePenalty);
        return id;
    }

    public int[] Take(ReadOnlySpan<int> prompt, SamplingOptions options, int count)
    {
        Start(prompt, options);
        return [.. Enumerable.Range(0, count).Select(_ => Next())];
    }

    /// <summary>All logits behind the last token that was computed, (ids that can be drawn), after penalties.</summary>
    public float[] Logits()
    {
        var logits = new float[Runner.RealIds];
        Runner.ReadLogits(0, logits);
        return logits;
    }

    bool Penalised => sampling.PresencePenalty != 0 || sampling.RepetitionPenalty != 1;

    void Penalise(int id, float subtract)
    {
        if (Penalised) Runner.Rules.Edit(Set, id, subtract, sampling.RepetitionPenalty!.Value);
    }

    void Compute()
    {
        while (computed < ids.Count)
        {
            int count = Math.Min(Runner.Limits.Tokens, ids.Count - computed);
            Runner.Batch.Clear();
            for (int i = computed; i < computed + count; i++) Runner.Batch.Add(ids[i], 0, i, wanted: i == ids.Count - 1, Penalised ? Set : -1);
            Runner.Run();
            computed += count;
        }
    }

    public void Dispose()
    {
        Runner.Dispose();
        Model.Dispose();
    }
}
