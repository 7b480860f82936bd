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
    public static unsafe LoadedModel From(TiledFile file, IDevice device)
    {
        var memory = new List<DeviceMemory>();
        DeviceMemory Load(TiledSegment segment)
        {
            var at = device.Load(file.At(segment), segment.Bytes);
            memory.Add(at);
            return at;
        }
        Tensor Panels(string name, int rows, int cols)
        {
            var segment = file.Find(name);
            if (segment.Rows != rows || segment.Cols != cols || SegmentTypes.Panels(segment.Type) is not { } type)
                throw new TesseraException($"{file.Path}: segment '{name}': expected a matrix ({rows}, {cols}), found {segment.Type} ({segment.Rows}, {segment.Cols})");
            return Tensor.Weights(Load(segment), 0, type, rows, cols);
        }
        Tensor Vector(string name, int cols)
        {
            var segment = file.Find(name);
            if (segment.Cols != cols || segment.Type != SegmentTypes.Vector)
                throw new TesseraException($"{file.Path}: segment '{name}': expected a vector of {cols}, found {segment.Type} ({segment.Rows}, {segment.Cols})");
            return Tensor.Packed(Load(segment), 0, DType.F32, 1, cols);
        }
        return new LoadedModel(memory, Qwen3Weights.From(file.Index.Config, Panels, Vector));
    }

    public void Dispose()
    {
        foreach (var region in memory) region.Dispose();
    }
}
