namespace Tessera.Runtime.Sampling;

/// <summary>What the model's makers advise for generation, and the ids that end an answer.</summary>
public sealed record GenerationDefaults
{
    /// <summary>False: greedy.</summary>
    public bool DoSample { get; init; }
    public float Temperature { get; init; } = 1;
    public int TopK { get; init; }
    public float TopP { get; init; } = 1;
    public float MinP { get; init; }
    public float RepetitionPenalty { get; init; } = 1;
    public int[] EndIds { get; init; } = [];
}
