using Silk.NET.Vulkan;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>A command buffer recorded once: pipeline, addresses and arguments, dispatch, and a barrier before the next.</summary>
sealed unsafe class VulkanSegment : Segment
{
    readonly VulkanDevice device;
    readonly Variant[] variants;

    public VulkanSegment(VulkanDevice device, Call[] calls) : base(calls)
    {
        this.device = device;
        variants = [.. calls.Select(Choose)];
        Commands = device.Commands();
        Fill(Commands, default);
    }

    public CommandBuffer Commands { get; }

    /// <summary>Seconds of each call, by timestamps between them.</summary>
    public double[] Profile()
    {
        var info = new QueryPoolCreateInfo { SType = StructureType.QueryPoolCreateInfo, QueryType = QueryType.Timestamp, QueryCount = (uint)Calls.Length + 1 };
        device.Api.CreateQueryPool(device.Handle, in info, null, out var stamps).Check();
        var timed = device.Commands();
        try
        {
            Fill(timed, stamps);
            device.Submit(timed);
            device.Wait();
            var ticks = new ulong[Calls.Length + 1];
            fixed (ulong* to = ticks)
                device.Api.GetQueryPoolResults(device.Handle, stamps, 0, (uint)ticks.Length, (nuint)ticks.Length * 8, to, 8, QueryResultFlags.Result64Bit | QueryResultFlags.ResultWaitBit).Check();
            return [.. Enumerable.Range(0, Calls.Length).Select(i => (ticks[i + 1] - ticks[i]) * device.Probe.TimestampSeconds)];
        }
        finally
        {
            device.Free(timed);
            device.Api.DestroyQueryPool(device.Handle, stamps, null);
        }
    }

    void Fill(CommandBuffer to, QueryPool stamps)
    {
        var begin = new CommandBufferBeginInfo { SType = StructureType.CommandBufferBeginInfo, Flags = CommandBufferUsageFlags.SimultaneousUseBit };
        device.Api.BeginCommandBuffer(to, in begin).Check();
        bool timed = stamps.Handle != 0;
        if (timed) device.Api.CmdResetQueryPool(to, stamps, 0, (uint)Calls.Length + 1);
        for (int i = 0; i < Calls.Length; i++)
        {
            device.Barrier(to); // also against what was submitted before
            if (timed) device.Api.CmdWriteTimestamp(to, PipelineStageFlags.BottomOfPipeBit, stamps, (uint)i);
            Dispatch(to, Calls[i], variants[i]);
        }
        device.Barrier(to);
        if (timed) device.Api.CmdWriteTimestamp(to, PipelineStageFlags.BottomOfPipeBit, stamps, (uint)Calls.Length);
        device.Api.EndCommandBuffer(to).Check();
    }

    Variant Choose(Call call) =>
        call.Kernel.Vulkan.FirstOrDefault(v => v.Fits(device.Probe.Features, call))
        ?? throw new TesseraException($"[{call.Kernel.Name}] has no Vulkan body for {string.Join(", ", call.Tensors.Where(t => !t.IsNone).Select(t => t.Type.Name()))} on {device.Name} yet; use --device host");

    void Dispatch(CommandBuffer to, Call call, Variant variant)
    {
        byte* push = stackalloc byte[VulkanPipelines.PushBytes];
        int addresses = call.Tensors.Length * 8, bytes = addresses + call.ArgBytes.Length;
        if (bytes > VulkanPipelines.PushBytes) throw new TesseraException($"[{call.Kernel.Name}] pushes {bytes} bytes, at most {VulkanPipelines.PushBytes} fit");
        for (int i = 0; i < call.Tensors.Length; i++) ((ulong*)push)[i] = call.Tensors[i].Address;
        call.ArgBytes.CopyTo(new Span<byte>(push + addresses, call.ArgBytes.Length));
        var groups = variant.Groups(call);
        device.Api.CmdBindPipeline(to, PipelineBindPoint.Compute, device.Pipelines.Of(variant.Shader));
        device.Api.CmdPushConstants(to, device.Pipelines.Layout, ShaderStageFlags.ComputeBit, 0, (uint)bytes, push);
        device.Api.CmdDispatch(to, (uint)groups.X, (uint)groups.Y, (uint)groups.Z);
    }

    public override void Dispose()
    {
        device.Wait();
        device.Free(Commands);
    }
}
