using System.Runtime.InteropServices;
using Tessera.Runtime.Devices;
using Tessera.Runtime.Files;
using Tessera.Shaders;

namespace Tessera.Runtime.Models;

/// <summary>The weights of a file, on a device.</summary>
public sealed class LoadedModel : IDisposable
{
    readonly List<DeviceMemory> memory;

    internal LoadedModel(List<DeviceMemory> memory, Qwen3Weights weights) => (this.memory, Weights) = (memory, weights);

    public Qwen3Weights Weights { get; }

    /// <summary>Puts every tensor of the file on the device: in place on the host. The file must stay open.</summary>
    /// <param name="progress">Is given the bytes that were copied so far.</param>
    /// <exception cref="OperationCanceledException">Stopped; nothing stays on the device.</exception>
    public static LoadedModel From(TiledFile file, IDevice device, Action<long>? progress = null, CancellationToken stop = default)
    {
        var source = new FileWeights(file, device, progress, stop);
        try { return new LoadedModel(source.Memory, Qwen3Weights.From(file.Index.Config, source)); }
        catch
        {
            foreach (var region in source.Memory) region.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        foreach (var region in memory) region.Dispose();
    }
}

/// <summary>Weights out of a tiled file; a segment of another shape than the config wants is refused.</summary>
sealed unsafe class FileWeights(TiledFile file, IDevice device, Action<long>? progress, CancellationToken stop) : IWeightSource
{
    long copied;

    public List<DeviceMemory> Memory { get; } = [];

    public Tensor Matrix(string name, int rows, int cols, DType? type)
    {
        var segment = file.Find(name);
        if (segment.Rows != rows || segment.Cols != cols || segment.Experts is not null
            || SegmentTypes.Panels(segment.Type) is not { } found || type is not null && found != type)
            throw Wrong(segment, $"a matrix ({rows}, {cols}){(type is null ? "" : $" of {type.Value.Name()}")}");
        return Tensor.Weights(Load(segment), 0, found, rows, cols);
    }

    public Tensor Experts(string name, int experts, int rows, int cols)
    {
        var segment = file.Find(name);
        if (segment.Rows != rows || segment.Cols != cols || segment.Experts != experts || SegmentTypes.Panels(segment.Type) is not { } found)
            throw Wrong(segment, $"{experts} matrices ({rows}, {cols})");
        return Tensor.OfExperts(Load(segment), 0, found, experts, rows, cols);
    }

    public Tensor Vector(string name, int cols)
    {
        var segment = file.Find(name);
        if (segment.Cols != cols || segment.Type != SegmentTypes.Vector) throw Wrong(segment, $"a vector of {cols}");
        foreach (float value in MemoryMarshal.Cast<byte, float>(file.Span(segment)))
            if (!float.IsFinite(value)) throw new TesseraException(
                $"{file.Path}: segment '{name}' holds a number that is not finite: the weights are broken, convert the model again");
        return Tensor.Packed(Load(segment), 0, DType.F32, 1, cols);
    }

    DeviceMemory Load(TiledSegment segment)
    {
        stop.ThrowIfCancellationRequested();
        var at = device.Load(file.At(segment), segment.Bytes, Copied);
        Memory.Add(at);
        return at;
    }

    void Copied(long bytes)
    {
        stop.ThrowIfCancellationRequested();
        progress?.Invoke(copied += bytes);
    }

    TesseraException Wrong(TiledSegment s, string expected) =>
        new($"{file.Path}: segment '{s.Name}': expected {expected}, found {(s.Experts is { } n ? $"{n} times " : "")}{s.Type} ({s.Rows}, {s.Cols})");
}
