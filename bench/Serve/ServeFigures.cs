using System.Diagnostics;

namespace Tessera.Bench;

/// <summary>What readers saw within a time: rates, and milliseconds at ranks.</summary>
/// <param name="Answers">That ended in it.</param>
/// <param name="Tps">Tokens a second, of all answers.</param>
/// <param name="PromptTps">The same, of the prompts whose first token came in it.</param>
/// <param name="Gaps">Between two tokens of an answer.</param>
/// <param name="CachedTokens">Of the prompts of the answers that ended.</param>
sealed record ServeFigures(int Answers, double Seconds, double Tps, double PromptTps, Ranks First, Ranks Token, Ranks Gaps, long CachedTokens)
{
    /// <param name="from">Timestamps, as <paramref name="to"/>: tokens count after the one, and up to the other.</param>
    public static ServeFigures Of(IReadOnlyCollection<ServedAnswer> answers, long from, long to)
    {
        int ended = 0, tokens = 0;
        long prompts = 0, cached = 0;
        List<double> first = [], token = [], gaps = [];
        foreach (var answer in answers)
        {
            var times = answer.Times;
            for (int i = 0; i < times.Length; i++)
            {
                if (times[i] <= from || times[i] > to) continue;
                tokens++;
                if (i == 0)
                {
                    prompts += answer.PromptTokens;
                    if (answer.Start >= from) first.Add(answer.FirstMs);
                }
                else if (times[i - 1] > from) gaps.Add(Stopwatch.GetElapsedTime(times[i - 1], times[i]).TotalMilliseconds);
            }
            if (!answer.IsWhole || answer.Last <= from || answer.Last > to) continue;
            ended++;
            cached += answer.CachedTokens;
            if (times.Length > 1 && answer.First > from) token.Add(answer.TokenMs);
        }
        double seconds = Stopwatch.GetElapsedTime(from, to).TotalSeconds;
        return new(ended, seconds, tokens / seconds, prompts / seconds, Ranks.Of(first), Ranks.Of(token), Ranks.Of(gaps), cached);
    }
}

/// <summary>The median of measured values, the one that 99 of 100 do not exceed, and the largest; null where there are none.</summary>
readonly record struct Ranks(double? Median, double? P99, double? Max)
{
    public static Ranks Of(List<double> values)
    {
        if (values.Count == 0) return default;
        values.Sort();
        double At(double share) => values[(int)Math.Ceiling(share * values.Count) - 1];
        return new(At(0.5), At(0.99), values[^1]);
    }
}
