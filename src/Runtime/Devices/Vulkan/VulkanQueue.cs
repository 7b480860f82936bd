using Silk.NET.Vulkan;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>The queue of a device: command buffers go in, one submission in flight at a time, and a fence tells when it is done.</summary>
sealed unsafe class VulkanQueue : IDisposable
{
    const ulong WaitNanoseconds = 10_000_000_000; // then the driver is asked whether the device is still there

    readonly Vk api;
    readonly Device device;
    readonly string name;
    readonly Queue queue;
    readonly CommandPool pool;
    readonly Fence fence;
    bool busy;

    /// <param name="name">What the device is called where it is lost.</param>
    public VulkanQueue(Vk api, Device device, uint family, string name)
    {
        (this.api, this.device, this.name) = (api, device, name);
        api.GetDeviceQueue(device, family, 0, out queue);
        var poolInfo = new CommandPoolCreateInfo
        {
            SType = StructureType.CommandPoolCreateInfo, QueueFamilyIndex = family, Flags = CommandPoolCreateFlags.ResetCommandBufferBit,
        };
        api.CreateCommandPool(device, in poolInfo, null, out pool).Check();
        var fenceInfo = new FenceCreateInfo { SType = StructureType.FenceCreateInfo };
        api.CreateFence(device, in fenceInfo, null, out fence).Check();
    }

    /// <summary>How often it was handed work, copies included.</summary>
    public long Submissions { get; private set; }

    /// <summary>The driver lost the device: nothing more is submitted or waited for.</summary>
    public bool IsLost { get; private set; }

    /// <summary>For tests: what the next submission returns instead of being made.</summary>
    public Result? InjectedSubmit { get; set; }

    /// <summary>For tests: what the next wait returns when it is over.</summary>
    public Result? InjectedWait { get; set; }

    public CommandBuffer Commands()
    {
        var info = new CommandBufferAllocateInfo
        {
            SType = StructureType.CommandBufferAllocateInfo, CommandPool = pool, Level = CommandBufferLevel.Primary, CommandBufferCount = 1,
        };
        api.AllocateCommandBuffers(device, in info, out var commands).Check();
        return commands;
    }

    public void Free(CommandBuffer commands) => api.FreeCommandBuffers(device, pool, 1, in commands);

    /// <summary>All earlier work is done and seen by all later work.</summary>
    public void Barrier(CommandBuffer commands)
    {
        const PipelineStageFlags Stages = PipelineStageFlags.ComputeShaderBit | PipelineStageFlags.TransferBit;
        var barrier = new MemoryBarrier
        {
            SType = StructureType.MemoryBarrier, SrcAccessMask = AccessFlags.ShaderWriteBit | AccessFlags.TransferWriteBit,
            DstAccessMask = AccessFlags.ShaderReadBit | AccessFlags.ShaderWriteBit | AccessFlags.TransferReadBit | AccessFlags.TransferWriteBit
                | AccessFlags.HostReadBit,
        };
        api.CmdPipelineBarrier(commands, Stages, Stages | PipelineStageFlags.HostBit, 0, 1, in barrier, 0, null, 0, null);
    }

    /// <summary>In order, the fence behind the last.</summary>
    public void Submit(ReadOnlySpan<CommandBuffer> commands)
    {
        Wait();
        for (int i = 0; i < commands.Length; i++)
            Enqueue(commands[i], i == commands.Length - 1 ? fence : default);
        busy = true;
    }

    /// <summary>Gives the queue one command buffer; <paramref name="done"/> tells when it is done.</summary>
    public void Enqueue(CommandBuffer commands, Fence done)
    {
        var info = new SubmitInfo { SType = StructureType.SubmitInfo, CommandBufferCount = 1, PCommandBuffers = &commands };
        var result = IsLost ? Result.ErrorDeviceLost : InjectedSubmit ?? api.QueueSubmit(queue, 1, in info, done);
        InjectedSubmit = null;
        ThrowIfLost(result);
        result.Check("vkQueueSubmit");
        Submissions++;
    }

    /// <summary>Waits for what was submitted.</summary>
    /// <exception cref="DeviceLostException">The device is lost, now or before.</exception>
    public void Wait()
    {
        if (IsLost) ThrowIfLost(Result.ErrorDeviceLost);
        if (!busy) return;
        busy = false;
        WaitFor(fence);
        var waited = fence;
        api.ResetFences(device, 1, in waited).Check();
    }

    public void WaitFor(Fence done)
    {
        Result result;
        do
        {
            result = IsLost ? Result.ErrorDeviceLost : api.WaitForFences(device, 1, in done, true, WaitNanoseconds);
            if (result == Result.Timeout && api.GetFenceStatus(device, done) == Result.ErrorDeviceLost) result = Result.ErrorDeviceLost;
        }
        while (result == Result.Timeout);
        result = InjectedWait ?? result;
        InjectedWait = null;
        ThrowIfLost(result);
        result.Check("vkWaitForFences");
    }

    void ThrowIfLost(Result result)
    {
        if (result != Result.ErrorDeviceLost) return;
        IsLost = true;
        throw new DeviceLostException($"{name} was lost: the driver reset it, or it is gone; what was computed on it is lost too, "
            + "load the model again or use another --device");
    }

    public void Dispose()
    {
        api.DestroyFence(device, fence, null);
        api.DestroyCommandPool(device, pool, null);
    }
}
