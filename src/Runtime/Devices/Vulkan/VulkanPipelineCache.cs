using System.IO.Hashing;
using Silk.NET.Vulkan;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>
/// What the driver compiled, on disk, so that the next start need not compile it: a file for each device and driver, its bytes behind their hash.
/// A file that is cut off, altered or another driver's is as good as none. Nothing that goes wrong here is an error.
/// </summary>
sealed unsafe class VulkanPipelineCache : IDisposable
{
    const int HashBytes = 16;

    readonly Vk api;
    readonly Device device;
    readonly string path;

    public VulkanPipelineCache(Vk api, Device device, VulkanProbe probe, string folder)
    {
        (this.api, this.device) = (api, device);
        path = Path.Combine(folder, $"{probe.CacheName}.pipelines");
        byte[] data = Load(probe);
        Loaded = data.Length;
        fixed (byte* at = data)
        {
            var info = new PipelineCacheCreateInfo { SType = StructureType.PipelineCacheCreateInfo, InitialDataSize = (nuint)data.Length, PInitialData = at };
            if (api.CreatePipelineCache(device, in info, null, out var handle) == Result.Success) Handle = handle;
        }
    }

    /// <summary>TESSERA_CACHE, or the user's folder for such files; where there is none, the temporary one.</summary>
    public static string Folder => Environment.GetEnvironmentVariable("TESSERA_CACHE") is { Length: > 0 } chosen ? chosen
        : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData) is { Length: > 0 } own ? own : Path.GetTempPath(), "tessera");

    public PipelineCache Handle { get; }

    /// <summary>Bytes that an earlier start left.</summary>
    public int Loaded { get; }

    /// <summary>Writes what was compiled since, beside the file, and renames it.</summary>
    public void Save()
    {
        nuint size = 0;
        if (Handle.Handle == 0 || api.GetPipelineCacheData(device, Handle, ref size, null) != Result.Success || size == 0) return;
        var data = new byte[size];
        fixed (byte* to = data)
            if (api.GetPipelineCacheData(device, Handle, ref size, to) != Result.Success) return;
        string beside = $"{path}.{Guid.NewGuid():N}"; // engines of one process save at once, too
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            using (var file = File.Create(beside))
            {
                file.Write(XxHash128.Hash(data));
                file.Write(data);
            }
            File.Move(beside, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { Remove(beside); }
    }

    static void Remove(string file)
    {
        try { File.Delete(file); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
    }

    byte[] Load(VulkanProbe probe)
    {
        try
        {
            byte[] file = File.Exists(path) && new FileInfo(path).Length < 1 << 28 ? File.ReadAllBytes(path) : [];
            // The driver's own header: its length, 1, vendor, device, and the driver's id of caches.
            bool ours = file.Length >= HashBytes + 32 && XxHash128.Hash(file.AsSpan(HashBytes)).AsSpan().SequenceEqual(file.AsSpan(0, HashBytes))
                && file.AsSpan(HashBytes + 16, 16).SequenceEqual(probe.CacheId);
            return ours ? file[HashBytes..] : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return []; }
    }

    public void Dispose()
    {
        if (Handle.Handle != 0) api.DestroyPipelineCache(device, Handle, null);
    }
}
