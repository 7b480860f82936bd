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

    /// <exception cref="TesseraException">A value is out of its range: says which, and names the file.</exception>
    public void Check(string file)
    {
        if (EndIds is null || EndIds.Any(id => id < 0)) throw new TesseraException($"{file}: expected the ids that end an answer to be 0 or more");
        try { new SamplingOptions().Over(this with { DoSample = true }, thinking: true).Check(); }
        catch (TesseraException e) { throw new TesseraException($"{file}: {e.Message}", e); }
    }
}
