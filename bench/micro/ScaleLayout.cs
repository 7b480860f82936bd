using System.IO.MemoryMappedFiles;
using System.Runtime.Intrinsics;
using BenchmarkDotNet.Attributes;
using Tessera.Shaders;

namespace Tessera.Micro;

/// <summary>
/// Where the scales of a Q8 matrix lie: in a plane behind the values, or behind the values of each tile. One decode product
/// out of a mapped file, with all threads, as the host does it; the layout in Tile.cs was chosen by this.
/// </summary>
public unsafe class ScaleLayout
{
    const int TileValues = 512, TileScales = 32;

    readonly string path = Path.GetTempFileName();
    MemoryMappedFile? map;
    MemoryMappedViewAccessor? view;
    byte* weights;
    byte[] x = [];
    float[] y = [];

    /// <summary>Rows of the matrix: 151936 is the head of the 0.6b model and does not fit a cache, 4096 is one of its projections and may.</summary>
    [Params(4096, 151936)]
    public int Rows { get; set; }

    [Params(1024)]
    public int Cols { get; set; }

    int Tiles => Tile.Tiles(Cols);

    [GlobalSetup]
    public void Setup()
    {
        var random = new Random(1);
        using (var file = File.OpenWrite(path))
        {
            // The same bytes serve both layouts: halves of 0x2c2c are 0.065, so are the bytes around them fair values.
            var panel = new byte[Tiles * (TileValues + TileScales)];
            for (int i = 0; i < Tile.Panels(Rows); i++)
            {
                for (int b = 0; b < panel.Length; b++) panel[b] = (byte)random.Next(0x28, 0x30);
                file.Write(panel);
            }
        }
        map = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        view = map.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref weights);
        x = new byte[Shaders.Rows.Stride(DType.A8, Cols)];
        for (int k = 0; k < Cols; k++) x[k] = (byte)random.Next(256);
        y = new float[Tile.Panels(Rows) * Tile.Rows];
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        view!.SafeMemoryMappedViewHandle.ReleasePointer();
        view.Dispose();
        map!.Dispose();
        File.Delete(path);
    }

    [Benchmark(Baseline = true)]
    public void Plane() => Product(TileValues, TileScales, weights + (long)Tile.Panels(Rows) * Tiles * TileValues);

    [Benchmark]
    public void Interleaved() => Product(TileValues + TileScales, TileValues + TileScales, weights + TileValues);

    void Product(int valueStep, int scaleStep, byte* scales)
    {
        int panels = Tile.Panels(Rows), tiles = Tiles, cols = Cols;
        byte* values = weights;
        Parallel.For(0, Environment.ProcessorCount, part =>
        {
            fixed (byte* row = x)
            fixed (float* to = y)
            {
                float* xScales = (float*)(row + Shaders.Rows.ScaleOffset(cols));
                int* xSums = (int*)(row + Shaders.Rows.SumOffset(cols));
                short* split = stackalloc short[Tile.K];
                for (int panel = panels * part / Environment.ProcessorCount; panel < panels * (part + 1) / Environment.ProcessorCount; panel++)
                {
                    byte* value = values + (long)panel * tiles * valueStep, scale = scales + (long)panel * tiles * scaleStep;
                    var sum = Vector512<float>.Zero;
                    for (int tile = 0; tile < tiles; tile++, value += valueStep, scale += scaleStep)
                    {
                        var dot = Vector512.ConvertToSingle(Panel.TileDot(value, row + tile * Tile.K, xSums[tile], split));
                        sum = Vector512.FusedMultiplyAdd(dot, Lanes.Halves(scale) * Vector512.Create(xScales[tile]), sum);
                    }
                    sum.Store(to + panel * Tile.Rows);
                }
            }
        });
    }
}
