namespace Tessera;

/// <summary>Texts as vectors.</summary>
/// <param name="Vectors">(texts, hidden), each of length 1.</param>
/// <param name="Tokens">Of all texts together.</param>
public sealed record EmbeddingResult(float[][] Vectors, int Tokens);
