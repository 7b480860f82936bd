using Silk.NET.Vulkan;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>Compute pipelines by shader, made on first use. Kernels bind nothing: addresses and arguments travel as push constants.</summary>
sealed unsafe class VulkanPipelines : IDisposable
{
    public const int PushBytes = 128;

    readonly Vk api;
    readonly Device device;
    readonly int lanes;                  // constant 0 of every shader
    readonly Dictionary<string, Pipeline> pipelines = new(StringComparer.Ordinal);

    public VulkanPipelines(Vk api, Device device, int lanes)
    {
        (this.api, this.device, this.lanes) = (api, device, lanes);
        var range = new PushConstantRange { StageFlags = ShaderStageFlags.ComputeBit, Size = PushBytes };
        var info = new PipelineLayoutCreateInfo { SType = StructureType.PipelineLayoutCreateInfo, PushConstantRangeCount = 1, PPushConstantRanges = &range };
        api.CreatePipelineLayout(device, in info, null, out var layout).Check();
        Layout = layout;
    }

    public PipelineLayout Layout { get; }

    public Pipeline Of(string shader)
    {
        if (pipelines.TryGetValue(shader, out var pipeline)) return pipeline;
        byte[] code = Code(shader);
        ShaderModule module;
        fixed (byte* words = code)
        {
            var info = new ShaderModuleCreateInfo { SType = StructureType.ShaderModuleCreateInfo, CodeSize = (nuint)code.Length, PCode = (uint*)words };
            api.CreateShaderModule(device, in info, null, out module).Check();
        }
        byte* main = stackalloc byte[] { (byte)'m', (byte)'a', (byte)'i', (byte)'n', 0 };
        int value = lanes;
        var entry = new SpecializationMapEntry(0, 0, sizeof(int));
        var constants = new SpecializationInfo { MapEntryCount = 1, PMapEntries = &entry, DataSize = sizeof(int), PData = &value };
        var create = new ComputePipelineCreateInfo
        {
            SType = StructureType.ComputePipelineCreateInfo, Layout = Layout,
            Stage = new PipelineShaderStageCreateInfo { SType = StructureType.PipelineShaderStageCreateInfo, Stage = ShaderStageFlags.ComputeBit, Module = module, PName = main, PSpecializationInfo = &constants },
        };
        var result = api.CreateComputePipelines(device, default, 1, in create, null, out pipeline);
        api.DestroyShaderModule(device, module, null);
        if (result != Result.Success) throw new TesseraException($"vkCreateComputePipelines({shader}) = {result}");
        pipelines.Add(shader, pipeline);
        return pipeline;
    }

    static byte[] Code(string shader)
    {
        using var stream = typeof(Kernel).Assembly.GetManifestResourceStream(shader + ".spv") ?? throw new TesseraException($"shader {shader}.spv is not built in; run src/Shaders/build-spv.sh");
        var code = new byte[stream.Length];
        stream.ReadExactly(code);
        return code;
    }

    public void Dispose()
    {
        foreach (var pipeline in pipelines.Values) api.DestroyPipeline(device, pipeline, null);
        api.DestroyPipelineLayout(device, Layout, null);
    }
}
