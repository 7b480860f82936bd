namespace Tessera.Chat;

/// <summary>The line that every run ends with, on standard error: where it ran, how fast, and why it ended.</summary>
static class RunLine
{
    public static string Of(Engine engine, GenerationReport report)
    {
        string device = $"{engine.DeviceName} ({engine.DeviceDescription})", numerics = engine.Numerics.ToString().ToLowerInvariant();
        return $"# {engine.Info.Name} {engine.WeightType.Name()} {numerics} on {device} · {report.Tokens} tok · {Speed(engine, report)}"
            + $" · prompt {report.PromptTokens} tok ({report.CachedTokens} kept) in {report.PrefillSeconds * 1000:F0} ms · logits "
            + $"#{report.LogitsHash:x8}{End(report.End)}";
    }

    static string Speed(Engine engine, GenerationReport report)
    {
        double rate = report.TokensPerSecond, bytes = report.BytesPerSecond;
        if (rate == 0) return "too short to time";
        double limit = engine.MeasureBandwidth();
        string share = limit > 0 ? $" ({100 * bytes / limit:F0} % of {limit / 1e9:F1} measured)" : "";
        return $"{rate:F1} tok/s · {1000 / rate:F2} ms/tok · {bytes / 1e9:F1} GB/s{share}";
    }

    static string End(EndReason end) => end switch
    {
        EndReason.MaxTokens => " · cut at --max-tokens",
        EndReason.ContextFull => " · the context is full",
        EndReason.Stopped => " · stopped",
        _ => "",
    };
}
