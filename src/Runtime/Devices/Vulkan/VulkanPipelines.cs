using Silk.NET.Vulkan;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>
/// Compute pipelines by shader. Kernels bind nothing: addresses and arguments travel as push constants. What the driver compiled is kept on disk.
/// </summary>
sealed unsafe class VulkanPipelines : IDisposable
{
    public const int PushBytes = 128;

    readonly Vk api;
    readonly Device device;
    readonly int lanes;                  // constant 0 of every shader
    readonly int panelThreads;           // constant 1: a workgroup of those that multiply panels
    readonly Dictionary<string, Pipeline> pipelines = new(StringComparer.Ordinal);

    public VulkanPipelines(Vk api, Device device, VulkanProbe probe, string cacheFolder)
    {
        (this.api, this.device, lanes) = (api, device, Math.Clamp(probe.Features.SubgroupSize, 4, 32));
        panelThreads = lanes <= 8 ? 8 : 128;
        Cache = new VulkanPipelineCache(api, device, probe, cacheFolder);
        var range = new PushConstantRange { StageFlags = ShaderStageFlags.ComputeBit, Size = PushBytes };
        var info = new PipelineLayoutCreateInfo { SType = StructureType.PipelineLayoutCreateInfo, PushConstantRangeCount = 1, PPushConstantRanges = &range };
        api.CreatePipelineLayout(device, in info, null, out var layout).Check();
        Layout = layout;
    }

    public PipelineLayout Layout { get; }

    public VulkanPipelineCache Cache { get; }

    public Pipeline Of(string shader) => pipelines[shader];

    /// <summary>Compiles what is not there yet, side by side.</summary>
    public void Prepare(IEnumerable<string> shaders)
    {
        string[] missing = [.. shaders.Distinct().Where(s => !pipelines.ContainsKey(s))];
        if (missing.Length == 0) return;
        var made = new Pipeline[missing.Length];
        try { Parallel.For(0, missing.Length, i => made[i] = Make(missing[i])); }
        catch (AggregateException e) when (e.InnerException is TesseraException first) { throw first; }
        for (int i = 0; i < missing.Length; i++) pipelines.Add(missing[i], made[i]);
        Cache.Save();
    }

    /// <summary>Compiles one shader; with <paramref name="statistics"/> the driver remembers what it made of it.</summary>
    public Pipeline Make(string shader, bool statistics = false)
    {
        byte[] code = Code(shader);
        ShaderModule module;
        fixed (byte* words = code)
        {
            var info = new ShaderModuleCreateInfo { SType = StructureType.ShaderModuleCreateInfo, CodeSize = (nuint)code.Length, PCode = (uint*)words };
            api.CreateShaderModule(device, in info, null, out module).Check();
        }
        byte* main = stackalloc byte[] { (byte)'m', (byte)'a', (byte)'i', (byte)'n', 0 };
        int* values = stackalloc int[] { lanes, panelThreads };
        var entries = stackalloc SpecializationMapEntry[] { new(0, 0, sizeof(int)), new(1, sizeof(int), sizeof(int)) };
        var constants = new SpecializationInfo { MapEntryCount = 2, PMapEntries = entries, DataSize = 2 * sizeof(int), PData = values };
        var create = new ComputePipelineCreateInfo
        {
            SType = StructureType.ComputePipelineCreateInfo, Layout = Layout, Flags = statistics ? PipelineCreateFlags.CreateCaptureStatisticsBitKhr : 0,
            Stage = new PipelineShaderStageCreateInfo
            {
                SType = StructureType.PipelineShaderStageCreateInfo, Stage = ShaderStageFlags.ComputeBit, Module = module, PName = main,
                PSpecializationInfo = &constants,
            },
        };
        var result = api.CreateComputePipelines(device, Cache.Handle, 1, in create, null, out var pipeline);
        api.DestroyShaderModule(device, module, null);
        return result == Result.Success ? pipeline : throw new TesseraException($"vkCreateComputePipelines({shader}) = {result}");
    }

    /// <summary>All shaders that are built in.</summary>
    public static IEnumerable<string> All => typeof(Kernel).Assembly.GetManifestResourceNames()
        .Where(n => n.EndsWith(".spv", StringComparison.Ordinal)).Select(n => n[..^4]).Order(StringComparer.Ordinal);

    static byte[] Code(string shader)
    {
        using var stream = typeof(Kernel).Assembly.GetManifestResourceStream(shader + ".spv")
            ?? throw new TesseraException($"shader {shader}.spv is not built in; run src/Shaders/build-spv.sh");
        var code = new byte[stream.Length];
        stream.ReadExactly(code);
        return code;
    }

    public void Dispose()
    {
        foreach (var pipeline in pipelines.Values) api.DestroyPipeline(device, pipeline, null);
        api.DestroyPipelineLayout(device, Layout, null);
        Cache.Dispose();
    }
}
