using Tessera.Runtime.Files;
using Tessera.Shaders;

namespace Tessera.Convert;

/// <summary>Checks every byte of a tiled file against its hashes, and its weights against the folder it was made from.</summary>
static unsafe class Verify
{
    public static int Run(string[] paths, CancellationToken stop)
    {
        using var file = TiledFile.Open(paths[^1]);
        Progress.Run("hashing", file.Bytes, done =>
        {
            foreach (string name in file.Corrupted(done)) throw new TesseraException($"{file.Path}: segment '{name}' does not match its checksum; the file was altered, convert the model again");
        });
        if (paths.Length == 1)
        {
            Console.WriteLine($"{file.Path}: all {file.Index.Segments.Count} segments match their checksums");
            return 0;
        }
        using var folder = new HfFolder(paths[0]);
        var (config, _, _) = HfConfig.Read(folder);
        double worst = 0;
        Progress.Run("comparing", folder.Bytes, done =>
        {
            foreach (var tensor in HfTensors.Plan(config, folder))
            {
                stop.ThrowIfCancellationRequested();
                worst = Math.Max(worst, tensor.Vector ? Vector(file, tensor) : Panels(file, tensor));
                done((long)tensor.Rows.Length * tensor.Cols * tensor.Type.ElementBytes());
            }
        });
        Console.WriteLine($"{file.Path}: equals {paths[0]}{(worst == 0 ? " exactly" : $", the largest difference is {worst:G3} of a step of rounding")}");
        return 0;
    }

    static double Vector(TiledFile file, HfPlan tensor)
    {
        var segment = file.Find(tensor.Name);
        Shape(file, segment, 1, tensor.Cols);
        float* values = (float*)file.At(segment);
        foreach (var (at, count) in tensor.Parts())
            for (int i = 0; i < count; i++, values++)
                if (*values != HfTensor.Element((byte*)at, tensor.Type, i)) throw Differs(file, tensor, 0, i);
        return 0;
    }

    /// <summary>The largest difference in units of half a rounding step of the type; above 1 is an error.</summary>
    static double Panels(TiledFile file, HfPlan tensor)
    {
        var segment = file.Find(tensor.Name);
        Shape(file, segment, tensor.RowsEach, tensor.Cols);
        if (segment.Experts != tensor.Experts) throw new TesseraException($"{file.Path}: segment '{tensor.Name}': expected {tensor.Experts ?? 1} experts, found {segment.Experts ?? 1}");
        var type = SegmentTypes.Panels(segment.Type) ?? throw new TesseraException($"{file.Path}: segment '{tensor.Name}' is no matrix");
        double worst = 0;
        for (int row = 0; row < tensor.Rows.Length; row++)
            for (int k = 0; k < tensor.Cols; k++)
            {
                byte* panels = file.At(segment) + row / tensor.RowsEach * Tile.Bytes(type, tensor.RowsEach, tensor.Cols);
                int own = row % tensor.RowsEach;
                float expected = tensor.Rows[row] == 0 ? 0 : HfTensor.Element((byte*)tensor.Rows[row], tensor.Type, k);
                float found = Elements.Weight(panels, type, tensor.RowsEach, tensor.Cols, own, k);
                if (found == expected) continue;
                double halfStep = HalfStep(panels, type, tensor, own, k, expected);
                double difference = Math.Abs(found - expected) / halfStep;
                if (!(difference <= 1.001)) throw Differs(file, tensor, row, k);
                worst = Math.Max(worst, difference);
            }
        return worst;
    }

    /// <summary>What rounding to a type may change. Q8 may also clip by up to half a step, where its scale was rounded down.</summary>
    static double HalfStep(byte* panels, DType type, HfPlan tensor, int row, int k, float expected) => type switch
    {
        DType.Q8 => Math.Max(0.5 * (float)*(Half*)(panels + Tile.ScalePlane(type, tensor.RowsEach, tensor.Cols) + Tile.ScaleOffset(tensor.Cols, row, k)) + Math.Abs(expected) / 2048, 127 * 3e-8),
        DType.F16 => Math.Max(Math.Abs(expected) / 2048, 3e-8),
        DType.BF16 => Math.Abs(expected) / 256,
        _ => 0,
    };

    static void Shape(TiledFile file, TiledSegment segment, int rows, int cols)
    {
        if (segment.Rows != rows || segment.Cols != cols) throw new TesseraException($"{file.Path}: segment '{segment.Name}': expected ({rows}, {cols}), found ({segment.Rows}, {segment.Cols})");
    }

    static TesseraException Differs(TiledFile file, HfPlan tensor, int row, int k) => new($"{file.Path}: segment '{tensor.Name}' differs from the folder at row {row}, column {k}");
}
