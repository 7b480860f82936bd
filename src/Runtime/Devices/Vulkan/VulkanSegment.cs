using Silk.NET.Vulkan;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>A command buffer recorded once: pipeline, addresses and arguments, dispatch, and a barrier before the next.</summary>
sealed unsafe class VulkanSegment : Segment
{
    readonly VulkanDevice device;

    public VulkanSegment(VulkanDevice device, Call[] calls) : base(calls)
    {
        this.device = device;
        var variants = calls.Select(Choose).ToArray();
        Commands = device.Commands();
        var begin = new CommandBufferBeginInfo { SType = StructureType.CommandBufferBeginInfo, Flags = CommandBufferUsageFlags.SimultaneousUseBit };
        device.Api.BeginCommandBuffer(Commands, in begin).Check();
        for (int i = 0; i < calls.Length; i++)
        {
            device.Barrier(Commands); // also against what was submitted before
            Dispatch(calls[i], variants[i]);
        }
        device.Barrier(Commands);
        device.Api.EndCommandBuffer(Commands).Check();
    }

    public CommandBuffer Commands { get; }

    Variant Choose(Call call) =>
        call.Kernel.Vulkan.FirstOrDefault(v => v.Fits(device.Probe.Features, call))
        ?? throw new TesseraException($"[{call.Kernel.Name}] has no Vulkan body for {string.Join(", ", call.Tensors.Where(t => !t.IsNone).Select(t => t.Type.Name()))} on {device.Name} yet; use --device host");

    void Dispatch(Call call, Variant variant)
    {
        byte* push = stackalloc byte[VulkanPipelines.PushBytes];
        int addresses = call.Tensors.Length * 8, bytes = addresses + call.ArgBytes.Length;
        if (bytes > VulkanPipelines.PushBytes) throw new TesseraException($"[{call.Kernel.Name}] pushes {bytes} bytes, at most {VulkanPipelines.PushBytes} fit");
        for (int i = 0; i < call.Tensors.Length; i++) ((ulong*)push)[i] = call.Tensors[i].Address;
        call.ArgBytes.CopyTo(new Span<byte>(push + addresses, call.ArgBytes.Length));
        var groups = variant.Groups(call);
        device.Api.CmdBindPipeline(Commands, PipelineBindPoint.Compute, device.Pipelines.Of(variant.Shader));
        device.Api.CmdPushConstants(Commands, device.Pipelines.Layout, ShaderStageFlags.ComputeBit, 0, (uint)bytes, push);
        device.Api.CmdDispatch(Commands, (uint)groups.X, (uint)groups.Y, (uint)groups.Z);
    }

    public override void Dispose()
    {
        device.Wait();
        device.Free(Commands);
    }
}
