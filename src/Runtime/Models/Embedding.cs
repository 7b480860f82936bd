namespace Tessera.Runtime.Models;

/// <summary>What a text is as a vector: the state of its last token behind the final norm, made 1 long. Qwen3-Embedding's pooling.</summary>
static class Embedding
{
    /// <summary>Of a row of the last step whose state was wanted: (hidden).</summary>
    /// <exception cref="TesseraException">A number of it is none, or infinite.</exception>
    public static float[] Of(Runner runner, int row)
    {
        var state = runner.State(row);
        double squares = 0;
        foreach (float x in state) squares += (double)x * x;
        if (!double.IsFinite(squares))
            throw new TesseraException($"the state behind token {runner.Batch.Positions[runner.Batch.Wanted[row]] + 1} is not finite on "
                + $"{runner.DeviceName}: weights or configuration are broken; check the file with convert verify");
        double scale = squares > 0 ? 1 / Math.Sqrt(squares) : 0; // nothing stays nothing
        var vector = new float[state.Length];
        for (int i = 0; i < vector.Length; i++) vector[i] = (float)(state[i] * scale);
        return vector;
    }
}
