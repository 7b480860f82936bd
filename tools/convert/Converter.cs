using System.Runtime.InteropServices;
using Tessera.Runtime.Files;
using Tessera.Runtime.Models;
using Tessera.Shaders;

namespace Tessera.Convert;

/// <summary>Writes the tiled file of a Hugging Face folder: a few panels at a time are read, packed and written, whatever the model's size.</summary>
public sealed unsafe class Converter(HfFolder folder, Action<long>? progress = null, CancellationToken stop = default, int threads = 0)
{
    const int StripBytes = 8 << 20; // values that are packed before they are written
    const int MaxUnusedNames = 10;

    byte[] values = [], scales = [];

    /// <summary>What a user should know: tensors that were left out, oddities of the config.</summary>
    public List<string> Notices { get; } = [];

    /// <param name="path">The file to write; it appears when it is whole.</param>
    /// <param name="type">The type of the matrices; null: the one they have, so that nothing is lost.</param>
    /// <exception cref="TesseraException">The folder is not a model that Tessera runs, or the file cannot be written.</exception>
    public void Write(string path, DType? type)
    {
        if (folder.Sources.FirstOrDefault(source => RegularFile.Same(source, path)) is { } own)
            throw new TesseraException($"{path}: is a file of the model itself, {own}; choose another name");
        using var file = new TiledFileWriter(path);
        var (config, generation, notices) = HfConfig.Read(folder);
        Notices.AddRange(notices);
        var text = HfTokens.Read(folder, config, Notices);
        var matrices = type ?? folder.Tensor("model.embed_tokens.weight", config.Vocabulary, config.Hidden).Type;
        // All is looked up before anything is written: a missing tensor is told at once.
        var plan = HfTensors.Plan(config, folder).ToArray();
        NoticeUnused();
        foreach (var (name, bytes) in text) file.Add(name, SegmentTypes.Bytes, 1, bytes.Length, to => to.Append(bytes));
        foreach (var tensor in plan)
        {
            if (tensor.Vector) file.Add(tensor.Name, SegmentTypes.Vector, 1, tensor.Cols, to => Vector(tensor, to));
            else
            {
                var of = tensor.FixedType ?? Mixture.TypeOf(tensor.Name, matrices);
                file.Add(tensor.Name, of.Name(), tensor.Rows, tensor.Cols, to => Matrices(tensor, of, to), tensor.Experts);
            }
        }
        file.Finish(segments => new TiledIndex { Name = folder.Name, Architecture = "qwen3", Config = config, Generation = generation, Segments = segments });
    }

    void NoticeUnused()
    {
        int count = 0;
        foreach (string name in folder.Unused)
            if (count++ < MaxUnusedNames) Notices.Add($"tensor '{name}' is not used");
        if (count > MaxUnusedNames) Notices.Add($"nor are {count - MaxUnusedNames} other tensors");
    }

    void Vector(HfPlan tensor, SegmentWriter to)
    {
        float[] vector = tensor.ReadVector();
        if (!vector.All(float.IsFinite)) throw Unsupported(tensor, DType.F32);
        to.Append(MemoryMarshal.AsBytes<float>(vector));
    }

    void Matrices(HfPlan tensor, DType type, SegmentWriter to)
    {
        int tiles = Tile.Tiles(tensor.Cols), panels = Tile.Panels(tensor.Rows);
        int valueBytes = checked(tiles * Tile.ValueBytes(type)), scaleBytes = tiles * Tile.ScaleBytes(type);
        int strip = Math.Min(panels, Math.Max(1, StripBytes / valueBytes));
        if (values.Length < strip * valueBytes) values = new byte[strip * valueBytes];
        if (scales.Length < strip * scaleBytes) scales = new byte[strip * scaleBytes];
        for (int matrix = 0; matrix < (tensor.Experts ?? 1); matrix++)
        {
            for (int first = 0; first < panels; first += strip)
            {
                int count = Math.Min(strip, panels - first);
                Pack(tensor, type, matrix, first, count, valueBytes, scaleBytes);
                to.Append(values.AsSpan(0, count * valueBytes));
                // The plane of scales follows that of values.
                if (scaleBytes > 0) to.WriteAhead(scales.AsSpan(0, count * scaleBytes), (long)(panels - first - count) * valueBytes + (long)first * scaleBytes);
                progress?.Invoke((long)count * Tile.Rows * tensor.RowBytes);
            }
            if (scaleBytes > 0) to.AppendWritten((long)panels * scaleBytes);
        }
    }

    /// <summary>Reads and packs some panels of a matrix, one behind the other.</summary>
    void Pack(HfPlan tensor, DType type, int matrix, int first, int count, int valueBytes, int scaleBytes)
    {
        bool fits = true;
        tensor.ForEachPanel(matrix, first, count, (panel, source, rows) =>
        {
            int i = panel - first;
            fixed (byte* from = source, to = values, scale = scales)
                if (!TilePacker.Pack(from, rows, tensor.Type, tensor.Cols, type, to + (long)i * valueBytes, scale + (long)i * scaleBytes)) fits = false;
        }, stop, threads);
        if (!fits) throw Unsupported(tensor, type);
    }

    TesseraException Unsupported(HfPlan tensor, DType type) =>
        new($"{folder.Folder}: '{tensor.Name}' holds a value that is not finite or too large for {type.Name()}; check the model, or choose another --dtype");
}
