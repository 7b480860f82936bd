using Silk.NET.Vulkan;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>Command buffers recorded once: pipeline, addresses and arguments, dispatch, and a barrier before the next. Long work is cut: drivers reset a GPU that is busy with one submission for two seconds.</summary>
sealed unsafe class VulkanRecording : Recording
{
    const double MaxSeconds = 0.1;

    readonly VulkanDevice device;
    readonly Variant[] variants;

    public VulkanRecording(VulkanDevice device, Call[] calls) : base(calls)
    {
        this.device = device;
        variants = [.. calls.Select(Choose)];
        device.Pipelines.Prepare(variants.Select(v => v.Shader));
        var cuts = new List<Range>();
        int first = 0;
        double seconds = 0;
        for (int i = 0; i < calls.Length; i++)
        {
            double more = Estimate(calls[i]);
            if (i > first && seconds + more > MaxSeconds)
            {
                cuts.Add(first..i);
                (first, seconds) = (i, 0);
            }
            seconds += more;
        }
        cuts.Add(first..calls.Length);
        Commands = [.. cuts.Select(cut =>
        {
            var commands = device.Commands();
            Fill(commands, cut, default);
            return commands;
        })];
    }

    /// <summary>One submission each.</summary>
    public CommandBuffer[] Commands { get; }

    /// <summary>Seconds on a slow GPU: what it reads at 100 GB/s, what it computes at 1 TFLOP/s.</summary>
    static double Estimate(Call call) => call.Tensors.Sum(t => t.Bytes) / 100e9 + call.Kernel.Flops(call) / 1e12;

    /// <summary>Seconds of each call, by timestamps between them.</summary>
    public double[] Profile()
    {
        var info = new QueryPoolCreateInfo { SType = StructureType.QueryPoolCreateInfo, QueryType = QueryType.Timestamp, QueryCount = (uint)Calls.Length + 1 };
        device.Api.CreateQueryPool(device.Handle, in info, null, out var stamps).Check();
        var timed = device.Commands();
        try
        {
            Fill(timed, .., stamps);
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

    void Fill(CommandBuffer to, Range cut, QueryPool stamps)
    {
        var begin = new CommandBufferBeginInfo { SType = StructureType.CommandBufferBeginInfo, Flags = CommandBufferUsageFlags.SimultaneousUseBit };
        device.Api.BeginCommandBuffer(to, in begin).Check();
        bool timed = stamps.Handle != 0;
        if (timed) device.Api.CmdResetQueryPool(to, stamps, 0, (uint)Calls.Length + 1);
        var (offset, length) = cut.GetOffsetAndLength(Calls.Length);
        for (int i = offset; i < offset + length; i++)
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
        foreach (var commands in Commands) device.Free(commands);
    }
}
