using Silk.NET.Vulkan;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>Timestamps that a queue writes between its work.</summary>
sealed unsafe class VulkanStamps : IDisposable
{
    readonly VulkanDevice device;
    readonly QueryPool pool;
    readonly int count;

    public VulkanStamps(VulkanDevice device, int count)
    {
        (this.device, this.count) = (device, count);
        var info = new QueryPoolCreateInfo { SType = StructureType.QueryPoolCreateInfo, QueryType = QueryType.Timestamp, QueryCount = (uint)count };
        device.Api.CreateQueryPool(device.Handle, in info, null, out pool).Check();
    }

    public void Reset(CommandBuffer commands) => device.Api.CmdResetQueryPool(commands, pool, 0, (uint)count);

    public void Write(CommandBuffer commands, int index) => device.Api.CmdWriteTimestamp(commands, PipelineStageFlags.BottomOfPipeBit, pool, (uint)index);

    /// <summary>Seconds between each of <paramref name="stamps"/> timestamps and the next.</summary>
    public double[] Between(int first, int stamps)
    {
        var ticks = new ulong[stamps];
        const QueryResultFlags Flags = QueryResultFlags.Result64Bit | QueryResultFlags.ResultWaitBit;
        fixed (ulong* to = ticks)
            device.Api.GetQueryPoolResults(device.Handle, pool, (uint)first, (uint)stamps, (nuint)stamps * 8, to, 8, Flags).Check();
        int bits = device.Probe.TimestampBits;
        ulong mask = bits == 64 ? ulong.MaxValue : (1UL << bits) - 1; // a counter of fewer bits begins again at 0
        return [.. Enumerable.Range(1, stamps - 1).Select(i => (ticks[i] - ticks[i - 1] & mask) * device.Probe.TimestampSeconds)];
    }

    public void Dispose() => device.Api.DestroyQueryPool(device.Handle, pool, null);
}
