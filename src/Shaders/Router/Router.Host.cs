namespace Tessera.Shaders;

public static unsafe partial class RouterOp
{
    static void Host(Call call, int begin, int end)
    {
        var a = call.Args<Args>();
        Tensor y = call.Tensors[Y];
        float* row = stackalloc float[Tile.Pad(a.Dim)];
        float* logits = stackalloc float[Tile.Panels(a.Experts) * Tile.Rows];
        byte** rows = stackalloc byte*[1];
        rows[0] = (byte*)row;
        end = Math.Min(end, call.Count(Count, a.Tokens));
        for (int t = begin; t < end; t++)
        {
            float* x = call.At<float>(X) + (long)t * Tile.Pad(a.Dim);
            RmsNormOp.Row(x, call.At<float>(Norm), a.Dim, a.Eps, call.At<byte>(Y) + (long)t * Rows.Stride(y.Type, a.Dim), y.Type);
            RmsNormOp.Row(x, call.At<float>(Norm), a.Dim, a.Eps, (byte*)row, DType.F32);
            for (int panel = 0; panel < Tile.Panels(a.Experts); panel++) Panel.Product(call.Tensors[W], panel, DType.F32, rows, 1, logits + panel * Tile.Rows);
            new Span<float>(logits, a.Experts).CopyTo(new Span<float>(call.At<float>(Logits) + (long)t * a.Experts, a.Experts));
            Choose(a, new Span<float>(logits, a.Experts), call.At<int>(Chosen) + t * a.PerToken, call.At<float>(Shares) + t * a.PerToken);
        }
    }

    static void Choose(in Args a, Span<float> logits, int* chosen, float* shares)
    {
        float largest = float.NegativeInfinity, total = 0, chosenSum = 0;
        foreach (float l in logits) largest = MathF.Max(largest, l);
        foreach (float l in logits) total += MathF.Exp(l - largest);
        for (int i = 0; i < a.PerToken; i++)
        {
            int best = 0;
            for (int e = 1; e < logits.Length; e++)
                if (logits[e] > logits[best]) best = e;
            chosen[i] = best;
            chosenSum += shares[i] = MathF.Exp(logits[best] - largest);
            logits[best] = float.NegativeInfinity;
        }
        float divisor = a.Renormalise != 0 ? chosenSum : total;
        for (int i = 0; i < a.PerToken; i++) shares[i] /= divisor;
    }
}
