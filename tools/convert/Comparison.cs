using System.Text.Json.Nodes;
using Tessera.Runtime.Files;
using Tessera.Shaders;

namespace Tessera.Convert;

/// <summary>
/// What of a tiled file differs from a folder: sizes and settings, generation defaults, tokenizer, chat template, and every weight beyond its type's
/// rounding.
/// </summary>
sealed unsafe class Comparison(TiledFile file, HfFolder folder)
{
    const int StripPanels = 1024; // between two reports of progress

    /// <summary>A line for each setting and segment that differs.</summary>
    public List<string> Differences { get; } = [];

    /// <summary>The largest difference of a weight, in units of half a rounding step of its type.</summary>
    public double Worst { get; private set; }

    public void Run(Action<long> progress, CancellationToken stop)
    {
        var (config, generation, _) = HfConfig.Read(folder);
        Settings("", JsonNode.Parse((file.Index with { Config = config, Generation = generation }).ToJson()), JsonNode.Parse(file.Index.ToJson()));
        var others = file.Index.Segments.Select(s => s.Name).ToHashSet();
        var text = HfTokens.Read(folder, config, []);
        foreach (var (name, bytes) in text)
            if (Find(name, SegmentTypes.Bytes, others) is { } segment && !file.Span(segment).SequenceEqual(bytes)) Differs(name, "differs from the folder's");
        foreach (var tensor in HfTensors.Plan(config, folder))
        {
            stop.ThrowIfCancellationRequested();
            if (Find(tensor.Name, tensor.Vector ? SegmentTypes.Vector : tensor.FixedType?.Name(), others) is not { } segment) continue;
            if ((segment.Rows, segment.Cols, segment.Experts) != (tensor.Rows, tensor.Cols, tensor.Experts))
                Differs(tensor.Name, $"expected {Shape(tensor.Rows, tensor.Cols, tensor.Experts)}, found {Shape(segment.Rows, segment.Cols, segment.Experts)}");
            else if (tensor.Vector) Vector(tensor, (float*)file.At(segment));
            else if (SegmentTypes.Panels(segment.Type) is { } type) Matrices(tensor, file.At(segment), type, progress, stop);
            else Differs(tensor.Name, $"expected a matrix, found {segment.Type}");
        }
        foreach (string name in others.Order(StringComparer.Ordinal)) Differs(name, "is nothing that the folder has");
    }

    void Differs(string segment, string how) => Differences.Add($"{file.Path}: segment '{segment}' {how}");

    static string Shape(int rows, int cols, int? experts) => $"{(experts is { } n ? $"{n} x " : "")}({rows}, {cols})";

    /// <summary>Compares the settings as they lie in the index: what is added there is compared without a line here.</summary>
    void Settings(string path, JsonNode? expected, JsonNode? found)
    {
        if (expected is JsonObject a && found is JsonObject b)
        {
            foreach (string key in a.Select(p => p.Key).Union(b.Select(p => p.Key))) Settings(path.Length == 0 ? key : $"{path}.{key}", a[key], b[key]);
            return;
        }
        if (!JsonNode.DeepEquals(expected, found))
            Differences.Add($"{file.Path}: {path}: expected {expected?.ToJsonString() ?? "nothing"}, found {found?.ToJsonString() ?? "nothing"}");
    }

    /// <summary>The segment of a name, crossed off; null, and a line, where it is missing or of another type.</summary>
    TiledSegment? Find(string name, string? type, HashSet<string> others)
    {
        others.Remove(name);
        var segment = file.Has(name) ? file.Find(name) : null;
        if (segment is null) Differs(name, "is missing");
        else if (type is not null && segment.Type != type) Differs(name, $"expected type {type}, found {segment.Type}");
        else return segment;
        return null;
    }

    void Vector(HfPlan tensor, float* found)
    {
        float[] expected = tensor.ReadVector();
        for (int i = 0; i < expected.Length; i++)
            if (found[i] != expected[i])
            {
                Differs(tensor.Name, $"differs from the folder at column {i}");
                return;
            }
    }

    void Matrices(HfPlan tensor, byte* panels, DType type, Action<long> progress, CancellationToken stop)
    {
        int count = Tile.Panels(tensor.Rows);
        for (int matrix = 0; matrix < (tensor.Experts ?? 1); matrix++, panels += Tile.Bytes(type, tensor.Rows, tensor.Cols))
            for (int first = 0; first < count; first += StripPanels)
            {
                int strip = Math.Min(StripPanels, count - first);
                (int Row, int Col)? wrong = null;
                byte* from = panels;
                tensor.ForEachPanel(matrix, first, strip, (panel, source, rows) =>
                {
                    double worst = Panel(tensor, from, type, panel, source, rows, out int row, out int col);
                    lock (Differences)
                    {
                        if (worst <= Rounding) Worst = Math.Max(Worst, worst);
                        else if (wrong is null || row < wrong.Value.Row) wrong = (row, col);
                    }
                }, stop);
                if (wrong is var (r, c))
                {
                    Differs(tensor.Name, $"differs from the folder at row {matrix * (long)tensor.Rows + r}, column {c}");
                    return;
                }
                progress((long)strip * Tile.Rows * tensor.RowBytes);
            }
    }

    const double Rounding = 1.001;

    /// <summary>The largest difference within a panel, padding included, or the first beyond rounding.</summary>
    static double Panel(HfPlan tensor, byte* panels, DType type, int panel, byte[] source, int rows, out int row, out int col)
    {
        double worst = 0;
        col = 0;
        fixed (byte* start = source)
            for (row = panel * Tile.Rows; row < (panel + 1) * Tile.Rows; row++)
            {
                int r = row % Tile.Rows;
                byte* elements = start + (long)r * tensor.RowBytes;
                for (col = 0; col < Tile.Pad(tensor.Cols); col++)
                {
                    float expected = r < rows && col < tensor.Cols ? HfTensor.Element(elements, tensor.Type, col) : 0;
                    float found = Elements.Weight(panels, type, tensor.Rows, tensor.Cols, row, col);
                    if (found == expected) continue;
                    double difference = Math.Abs(found - expected) / HalfStep(panels, type, tensor, row, col, expected);
                    if (!(difference <= Rounding)) return double.PositiveInfinity;
                    worst = Math.Max(worst, difference);
                }
            }
        return worst;
    }

    /// <summary>What rounding to a type may change. Q8 may also clip by up to half a step, where its scale was rounded down.</summary>
    static double HalfStep(byte* panels, DType type, HfPlan tensor, int row, int k, float expected) => type switch
    {
        DType.Q8 => Math.Max(0.5 * Scale(panels, type, tensor, row, k) + Math.Abs(expected) / 2048, 127 * 3e-8),
        DType.Q4 => Math.Max(HalfSteps(panels, tensor, row, k) * 16 * Scale(panels, type, tensor, row, k) + Math.Abs(expected) / 2048, 15 * 3e-8),
        DType.F16 => Math.Max(Math.Abs(expected) / 2048, 3e-8),
        DType.BF16 => Math.Abs(expected) / 256,
        DType.F32 => 0,
        _ => throw new TesseraException($"weights have no type {type.Name()}"),
    };

    /// <summary>At the ends of Q4's range numbers are cut, which may cost more than half a step.</summary>
    static double HalfSteps(byte* panels, HfPlan tensor, int row, int k) =>
        (*(uint*)(panels + Tile.WordOffset(DType.Q4, tensor.Cols, row, k)) >> Tile.Shift(DType.Q4, k) & 15) is 0 or 15 ? 3 : 0.5;

    static float Scale(byte* panels, DType type, HfPlan tensor, int row, int k) => Elements.Scale(panels, type, tensor.Rows, tensor.Cols, row, k);
}
