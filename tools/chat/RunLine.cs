namespace Tessera.Chat;

/// <summary>The line that every run ends with.</summary>
static class RunLine
{
    public static string Of(Engine engine, GenerationReport report)
    {
        double rate = report.TokensPerSecond, limit = rate > 0 ? engine.Device.MeasureBandwidth() : 0; // 0 too where there is no memory to measure with
        string share = limit > 0 ? $" ({100 * report.BytesPerSecond / limit:F0} % of {limit / 1e9:F1} measured)" : "";
        string speed = rate > 0 ? $"{rate:F1} tok/s · {1000 / rate:F2} ms/tok · {report.BytesPerSecond / 1e9:F1} GB/s{share}" : "too short to time";
        string end = report.End switch { EndReason.MaxTokens => " · cut at --max-tokens", EndReason.ContextFull => " · the context is full", EndReason.Stopped => " · stopped", _ => "" };
        return $"# {engine.Info.Name} {engine.WeightType.Name()} {engine.Numerics.ToString().ToLowerInvariant()} on {engine.Device.Name} ({engine.Device.Description}) · {report.Tokens} tok · {speed} · prompt {report.PromptTokens} tok ({report.CachedTokens} kept) in {report.PrefillSeconds * 1000:F0} ms · logits #{report.LogitsHash:x8}{end}";
    }
}
