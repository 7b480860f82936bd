using Tessera.Runtime.Sampling;
using Tessera.Testing;
using Xunit;

namespace Tessera.Runtime.Tests.Sampling;

/// <summary>What is drawn follows the model's probabilities, cut as asked, and repeats by its seed.</summary>
public sealed class SamplerTests : IDisposable
{
    readonly OneSequence one = new(Path.Combine(Repository.Root, "models", "numbers-dense.tessera"));

    public void Dispose() => one.Dispose();

    static readonly int[] prompt = [5, 6, 7];
    static readonly SamplingOptions plain = new() { Temperature = 1.5f, TopK = 0, TopP = 1, MinP = 0, RepetitionPenalty = 1 };

    int First(SamplingOptions sampling) => one.Take(prompt, sampling, 1)[0];

    double[] Probabilities(double temperature)
    {
        First(SamplingOptions.Greedy);
        float[] logits = one.Logits();
        double most = logits.Max(), total = logits.Sum(l => Math.Exp((l - most) / temperature));
        return [.. logits.Select(l => Math.Exp((l - most) / temperature) / total)];
    }

    public static TheoryData<int, float, float> Cuts =>
        new() { { 0, 1, 0 }, { 8, 1, 0 }, { 100, 1, 0 }, { 0, 0.7f, 0 }, { 40, 0.8f, 0 }, { 0, 1, 0.1f }, { 50, 0.9f, 0.05f } };

    [Theory, MemberData(nameof(Cuts))]
    public void Draws_follow_the_cut_distribution(int topK, float topP, float minP)
    {
        double[] p = Probabilities(plain.Temperature!.Value);
        int[] order = [.. Enumerable.Range(0, p.Length).OrderByDescending(i => p[i]).ThenBy(i => i).Take(topK > 0 ? topK : p.Length)];
        double all = order.Sum(i => p[i]), mass = 0;
        var kept = new List<int>();
        foreach (int id in order)
        {
            if (kept.Count > 0 && (mass >= topP * all || p[id] < minP * p[order[0]])) break;
            kept.Add(id);
            mass += p[id];
        }
        const int Draws = 3000;
        var seen = new Dictionary<int, int>();
        for (int i = 0; i < Draws; i++)
        {
            int id = First(plain with { TopK = topK, TopP = topP, MinP = minP, Seed = i });
            seen[id] = seen.GetValueOrDefault(id) + 1;
        }
        Assert.Empty(seen.Keys.Except(kept));
        foreach (int id in kept.Take(5)) // within 5 standard deviations
            Assert.InRange(seen.GetValueOrDefault(id), Draws * p[id] / mass - 5 * Math.Sqrt(Draws * p[id] / mass),
                Draws * p[id] / mass + 5 * Math.Sqrt(Draws * p[id] / mass) + 1);
    }

    [Fact]
    public void Cuts_to_one_are_greedy()
    {
        int best = First(SamplingOptions.Greedy);
        Assert.All([plain with { TopK = 1 }, plain with { TopP = 1e-6f }, plain with { MinP = 1 }, plain with { Temperature = 1e-4f }], cut =>
            Assert.Equal(best, First(cut)));
    }

    [Fact]
    public void A_seed_repeats_an_answer()
    {
        int[] Answer(int? seed) => one.Take(prompt, plain with { Seed = seed }, 20);
        Assert.Equal(Answer(7), Answer(7));
        Assert.NotEqual(Answer(7), Answer(8));
        Assert.NotEqual(Answer(null), Answer(null));
    }

    [Fact]
    public void Penalties_fall_on_what_was_said()
    {
        First(SamplingOptions.Greedy);
        float[] raw = one.Logits();
        First(SamplingOptions.Greedy with { RepetitionPenalty = 2 });
        float[] repeated = one.Logits();
        for (int id = 0; id < raw.Length; id++)
            Assert.Equal(!prompt.Contains(id) ? raw[id] : raw[id] > 0 ? raw[id] / 2 : raw[id] * 2, repeated[id], 1e-6f);
        int first = one.Take(prompt, SamplingOptions.Greedy with { PresencePenalty = 10, RepetitionPenalty = 1 }, 2)[0];
        float[] present = one.Logits();
        one.Take([.. prompt, first], SamplingOptions.Greedy, 1);
        raw = one.Logits();
        for (int id = 0; id < raw.Length; id++) Assert.Equal(raw[id] - (id == first ? 10 : 0), present[id], 1e-4f);
    }

    [Fact]
    public void Ids_behind_the_tokenizers_last_are_never_drawn()
    {
        int real = one.Runner.RealIds;
        Assert.True(real < one.Model.Info.Config.Vocabulary);
        Assert.All(Enumerable.Range(0, 200), i => Assert.InRange(First(plain with { Temperature = 100, Seed = i }), 0, real - 1));
    }

    [Fact]
    public void Defaults_are_the_models_own_for_its_thinking_mode()
    {
        var own = new GenerationDefaults { DoSample = true, Temperature = 0.6f, TopK = 20, TopP = 0.95f };
        SamplingOptions thinking = new SamplingOptions().Over(own, thinking: true), plain = new SamplingOptions().Over(own, thinking: false);
        Assert.Equal((0.6f, 20, 0.95f), (thinking.Temperature, thinking.TopK, thinking.TopP));
        Assert.Equal((0.7f, 20, 0.8f), (plain.Temperature, plain.TopK, plain.TopP));
        Assert.Equal(0, new SamplingOptions().Over(own with { DoSample = false }, thinking: true).Temperature);
        Assert.Equal(1.1f, new SamplingOptions { Temperature = 1.1f }.Over(own, thinking: true).Temperature);
    }
}
