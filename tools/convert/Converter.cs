using System.Runtime.InteropServices;
using Tessera.Runtime.Files;
using Tessera.Shaders;

namespace Tessera.Convert;

/// <summary>Writes the tiled file of a Hugging Face folder: panel after panel, with a few buffers, whatever the model's size.</summary>
public sealed unsafe class Converter(HfFolder folder, Action<long>? progress = null, CancellationToken stop = default, int threads = 0)
{
    const int PieceBytes = 8 << 20;

    /// <summary>What a user should know: tensors that were left out, oddities of the config.</summary>
    public List<string> Notices { get; } = [];

    /// <param name="path">The file to write; it appears when it is whole.</param>
    /// <param name="type">The type of the matrices; null: the one they have, so that nothing is lost.</param>
    /// <exception cref="TesseraException">The folder is not a model that Tessera runs, or the file cannot be written.</exception>
    public void Write(string path, DType? type)
    {
        var (config, generation, notices) = HfConfig.Read(folder);
        Notices.AddRange(notices);
        var text = HfTokens.Read(folder, config, Notices);
        var matrices = type ?? folder.Tensor("model.embed_tokens.weight", config.Vocabulary, config.Hidden).Type;
        // All is looked up before anything is written: a missing tensor is told at once.
        var plan = HfTensors.Plan(config, folder).ToArray();
        foreach (string name in folder.Unused) Notices.Add($"tensor '{name}' is not used");
        using var file = new TiledFileWriter(path);
        foreach (var (name, bytes) in text) file.Add(name, SegmentTypes.Bytes, 1, bytes.Length, sink => sink(bytes));
        foreach (var tensor in plan)
        {
            if (tensor.Vector) file.Add(tensor.Name, SegmentTypes.Vector, 1, tensor.Cols, sink => Vector(tensor, sink));
            else file.Add(tensor.Name, (tensor.Own ?? matrices).Name(), tensor.RowsEach, tensor.Cols, sink => Panels(tensor, tensor.Own ?? matrices, sink), tensor.Experts);
        }
        string title = System.IO.Path.GetFileName(System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(folder.Folder)));
        file.Finish(segments => new TiledIndex { Name = string.Concat(title.Where(c => !char.IsControl(c))), Architecture = "qwen3", Config = config, Generation = generation, Segments = segments });
    }

    void Vector(HfPlan tensor, SegmentSink sink)
    {
        var values = new float[tensor.Cols];
        int at = 0;
        foreach (var (row, count) in tensor.Parts())
            for (int i = 0; i < count; i++)
            {
                float v = HfTensor.Element((byte*)row, tensor.Type, i);
                if (!float.IsFinite(v)) throw Unsupported(tensor, DType.F32);
                values[at++] = v;
            }
        sink(MemoryMarshal.AsBytes<float>(values));
    }

    void Panels(HfPlan tensor, DType type, SegmentSink sink)
    {
        int tiles = Tile.Tiles(tensor.Cols), panels = Tile.Panels(tensor.RowsEach);
        int valueBytes = checked(tiles * Tile.ValueBytes(type)), scaleBytes = tiles * Tile.ScaleBytes(type);
        int piece = Math.Max(1, PieceBytes / valueBytes);
        var values = new byte[Math.Min(piece, panels) * (long)valueBytes];
        var scales = new byte[Math.Max(2 * Tile.Rows * tiles, panels * (long)scaleBytes)]; // the plane of scales follows that of values
        var options = new ParallelOptions { CancellationToken = stop, MaxDegreeOfParallelism = threads > 0 ? threads : Environment.ProcessorCount };
        bool fits = true;
        for (int matrix = 0; matrix < tensor.Rows.Length; matrix += tensor.RowsEach)
        {
            for (int first = 0; first < panels; first += piece)
            {
                int count = Math.Min(piece, panels - first);
                Parallel.For(0, count, options, i =>
                {
                    Span<nint> rows = stackalloc nint[Tile.Rows];
                    for (int r = 0; r < Tile.Rows; r++)
                    {
                        int row = (first + i) * Tile.Rows + r;
                        rows[r] = row < tensor.RowsEach ? tensor.Rows[matrix + row] : 0;
                    }
                    fixed (byte* to = values, scale = scales)
                        if (!TilePacker.Pack(rows, tensor.Type, tensor.Cols, type, to + (long)i * valueBytes, scale + (long)(first + i) * scaleBytes)) fits = false;
                });
                if (!fits) throw Unsupported(tensor, type);
                sink(values.AsSpan(0, checked(count * valueBytes)));
                progress?.Invoke((long)count * Tile.Rows * tensor.Cols * tensor.Type.ElementBytes());
            }
            if (scaleBytes > 0) sink(scales.AsSpan(0, panels * scaleBytes));
        }
    }

    TesseraException Unsupported(HfPlan tensor, DType type) =>
        new($"{folder.Folder}: '{tensor.Name}' holds a value that is not finite or too large for {type.Name()}; check the model, or choose another --dtype");
}
