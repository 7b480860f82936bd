namespace Tessera.Shaders;

/// <summary>The order of sums of a product of quantised weights with A8, which every body has to follow: its bits are the same on every device.</summary>
static unsafe partial class Panel
{
    /// <summary>
    /// Σ_k x[token, k] · w[row, k]: K is cut into <see cref="Tile.Slices"/> slices; within a slice, tile by tile,
    /// acc = acc + float(Σ q_w · q_x) · (wScale · xScale) with every operation rounded by itself; then slice is added to slice. Both ascending, from 0.
    /// </summary>
    public static float Canonical(in Tensor w, int row, in Tensor x, int token)
    {
        int tiles = Tile.Tiles(w.Cols);
        byte* panels = (byte*)w.Address;
        byte* activations = (byte*)x.Address + (long)token * Rows.Stride(DType.A8, w.Cols);
        float* xScales = (float*)(activations + Rows.ScaleOffset(w.Cols));
        float total = 0;
        for (int slice = 0; slice < Tile.Slices; slice++)
        {
            float acc = 0;
            for (int tile = Tile.SliceStart(tiles, slice); tile < Tile.SliceStart(tiles, slice + 1); tile++)
            {
                int sum = 0; // exact
                for (int k = tile * Tile.K; k < (tile + 1) * Tile.K; k++)
                    sum += (int)Elements.Unscaled(panels, w.Type, w.RowCount, w.Cols, row, k) * (sbyte)activations[k];
                float scale = Elements.Scale(panels, w.Type, w.RowCount, w.Cols, row, tile * Tile.K) * xScales[tile];
                float term = sum * scale;
                acc += term;
            }
            total += acc;
        }
        return total;
    }
}
