using System.Diagnostics;
using Silk.NET.Vulkan;
using Tessera.Shaders;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>
/// Command buffers recorded once: pipeline, addresses and arguments, dispatch, and a barrier before the next. Long work is cut: drivers reset a GPU that is
/// busy with one submission for two seconds.
/// </summary>
sealed unsafe class VulkanRecording : Recording
{
    const double MaxSeconds = 0.1;

    readonly VulkanDevice device;
    readonly Variant[] variants;
    readonly List<Range> cuts = [];      // calls of each submission

    public VulkanRecording(VulkanDevice device, Call[] calls) : base(calls)
    {
        this.device = device;
        variants = [.. calls.Select(Choose)];
        device.Pipelines.Prepare(variants.SelectMany(v => v.Stages).Select(stage => stage.Shader));
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
            var commands = device.Queue.Commands();
            Fill(commands, cut, null, 0, false);
            return commands;
        })];
    }

    /// <summary>One submission each.</summary>
    public CommandBuffer[] Commands { get; }

    /// <summary>Seconds on a slow GPU: what it reads at 100 GB/s, what it computes at 1 TFLOP/s.</summary>
    static double Estimate(Call call) => call.Tensors.Sum(t => t.Bytes) / 100e9 + call.Flops(Workload.Full) / 1e12;

    /// <summary>Seconds of each call, by timestamps between them.</summary>
    public double[] Profile()
    {
        if (device.Probe.TimestampBits > 0) return Stamped(everyCall: true);
        return [.. Calls.Select(call =>
        {
            using var one = new VulkanRecording(device, [call]);
            return one.Time();
        })];
    }

    /// <summary>Seconds of one replay, by timestamps at the ends of each submission; by the host's clock where the queue has none.</summary>
    public double Time()
    {
        if (device.Probe.TimestampBits > 0) return Stamped(everyCall: false).Sum();
        device.Wait();
        long start = Stopwatch.GetTimestamp();
        device.Submit(this).Wait();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Replays once with timestamps: the seconds of each call, or of each submission.</summary>
    double[] Stamped(bool everyCall)
    {
        int[] counts = [.. cuts.Select(cut => everyCall ? cut.GetOffsetAndLength(Calls.Length).Length : 1)];
        using var stamps = new VulkanStamps(device, counts.Sum() + counts.Length);
        CommandBuffer[] commands = [.. cuts.Select(_ => device.Queue.Commands())];
        try
        {
            for (int i = 0, at = 0; i < commands.Length; at += counts[i++] + 1) Fill(commands[i], cuts[i], stamps, at, everyCall);
            device.Queue.Submit(commands).Wait();
            var seconds = new List<double>();
            for (int i = 0, at = 0; i < commands.Length; at += counts[i++] + 1) seconds.AddRange(stamps.Between(at, counts[i] + 1));
            return [.. seconds];
        }
        finally
        {
            foreach (var one in commands) device.Queue.Free(one);
        }
    }

    /// <summary>Records the calls of a cut, where there are <paramref name="stamps"/> with timestamps from number <paramref name="at"/> on.</summary>
    /// <param name="everyCall">Timestamps between the calls too, not at both ends only.</param>
    void Fill(CommandBuffer to, Range cut, VulkanStamps? stamps, int at, bool everyCall)
    {
        var begin = new CommandBufferBeginInfo { SType = StructureType.CommandBufferBeginInfo, Flags = CommandBufferUsageFlags.SimultaneousUseBit };
        device.Api.BeginCommandBuffer(to, in begin).Check();
        if (at == 0) stamps?.Reset(to);
        var (offset, length) = cut.GetOffsetAndLength(Calls.Length);
        for (int i = offset; i < offset + length; i++)
        {
            device.Queue.Barrier(to); // also against what was submitted before
            if (everyCall || i == offset) stamps?.Write(to, at++);
            foreach (var stage in variants[i].Stages)
            {
                if (stage != variants[i]) device.Queue.Barrier(to);
                Dispatch(to, Calls[i], stage);
            }
        }
        device.Queue.Barrier(to);
        stamps?.Write(to, at);
        device.Api.EndCommandBuffer(to).Check();
    }

    Variant Choose(Call call) =>
        call.Kernel.Vulkan.FirstOrDefault(v => v.Fits(device.Probe.Features, call))
        ?? throw new TesseraException($"[{call.Kernel.Name}] has no Vulkan body for "
            + $"{string.Join(", ", call.Tensors.Where(t => !t.IsNone).Select(t => t.Type.Name()))} on {device.Name} yet; use --device host");

    void Dispatch(CommandBuffer to, Call call, Variant variant)
    {
        byte* push = stackalloc byte[VulkanPipelines.PushBytes];
        int addresses = call.Tensors.Length * 8, bytes = addresses + call.ArgBytes.Length;
        if (bytes > VulkanPipelines.PushBytes)
            throw new TesseraException($"[{call.Kernel.Name}] pushes {bytes} bytes, at most {VulkanPipelines.PushBytes} fit");
        for (int i = 0; i < call.Tensors.Length; i++) ((ulong*)push)[i] = call.Tensors[i].Address;
        call.ArgBytes.CopyTo(new Span<byte>(push + addresses, call.ArgBytes.Length));
        var groups = variant.Groups(call);
        device.Api.CmdBindPipeline(to, PipelineBindPoint.Compute, device.Pipelines.Of(variant.Shader));
        device.Api.CmdPushConstants(to, device.Pipelines.Layout, ShaderStageFlags.ComputeBit, 0, (uint)bytes, push);
        device.Api.CmdDispatch(to, (uint)groups.X, (uint)groups.Y, (uint)groups.Z);
    }

    public override void Dispose()
    {
        device.Drain();
        foreach (var commands in Commands) device.Queue.Free(commands);
    }
}
