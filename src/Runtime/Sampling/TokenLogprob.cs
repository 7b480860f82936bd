namespace Tessera;

/// <summary>An id and the logarithm of its probability.</summary>
public readonly record struct TokenLogprob(int Id, float Logprob);
