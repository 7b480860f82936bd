using Silk.NET.Vulkan;
using Semaphore = Silk.NET.Vulkan.Semaphore;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>The queue of a device: command buffers go in, and a semaphore that counts them tells how many are done.</summary>
sealed unsafe class VulkanQueue : Timeline, IDisposable
{
    const ulong WaitNanoseconds = 10_000_000_000; // then the driver is asked whether the device is still there

    readonly Vk api;
    readonly Device device;
    readonly string name;
    readonly Queue queue;
    readonly CommandPool pool;
    readonly Semaphore counter;
    long done;                                    // known to be

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
        var type = new SemaphoreTypeCreateInfo { SType = StructureType.SemaphoreTypeCreateInfo, SemaphoreType = SemaphoreType.Timeline };
        var semaphoreInfo = new SemaphoreCreateInfo { SType = StructureType.SemaphoreCreateInfo, PNext = &type };
        api.CreateSemaphore(device, in semaphoreInfo, null, out counter).Check();
    }

    /// <summary>How often it was given work, copies included: the number of the last.</summary>
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

    /// <summary>In order; the number is that of the last.</summary>
    public Completion Submit(ReadOnlySpan<CommandBuffer> commands)
    {
        foreach (var one in commands) Submit(one);
        return new Completion(this, Submissions);
    }

    /// <summary>Gives the queue one command buffer, whose number this is.</summary>
    public long Submit(CommandBuffer commands)
    {
        ulong number = (ulong)Submissions + 1;
        var signaled = counter;
        var numbers = new TimelineSemaphoreSubmitInfo
        {
            SType = StructureType.TimelineSemaphoreSubmitInfo, SignalSemaphoreValueCount = 1, PSignalSemaphoreValues = &number,
        };
        var info = new SubmitInfo
        {
            SType = StructureType.SubmitInfo, PNext = &numbers, CommandBufferCount = 1, PCommandBuffers = &commands,
            SignalSemaphoreCount = 1, PSignalSemaphores = &signaled,
        };
        var result = IsLost ? Result.ErrorDeviceLost : InjectedSubmit ?? api.QueueSubmit(queue, 1, in info, default);
        InjectedSubmit = null;
        ThrowIfLost(result);
        result.Check("vkQueueSubmit");
        return ++Submissions;
    }

    public override bool IsDone(long number)
    {
        if (IsLost || Volatile.Read(ref done) >= number) return true;
        ulong reached = 0;
        var result = api.GetSemaphoreCounterValue(device, counter, &reached);
        IsLost |= result == Result.ErrorDeviceLost;
        if (result == Result.Success) Volatile.Write(ref done, (long)reached);
        return IsLost || (long)reached >= number;
    }

    /// <summary>Waits for all that was submitted.</summary>
    /// <exception cref="DeviceLostException">The device is lost, now or before.</exception>
    public void Wait() => Wait(Submissions);

    /// <exception cref="DeviceLostException">The device is lost, now or before.</exception>
    public override void Wait(long number)
    {
        if (IsLost) ThrowIfLost(Result.ErrorDeviceLost);
        if (Volatile.Read(ref done) >= number) return;
        ulong value = (ulong)number, reached;
        var waited = counter;
        var info = new SemaphoreWaitInfo { SType = StructureType.SemaphoreWaitInfo, SemaphoreCount = 1, PSemaphores = &waited, PValues = &value };
        Result result;
        do
        {
            result = api.WaitSemaphores(device, in info, WaitNanoseconds);
            if (result == Result.Timeout && api.GetSemaphoreCounterValue(device, counter, &reached) == Result.ErrorDeviceLost)
                result = Result.ErrorDeviceLost;
        }
        while (result == Result.Timeout);
        result = InjectedWait ?? result;
        InjectedWait = null;
        ThrowIfLost(result);
        result.Check("vkWaitSemaphores");
        Volatile.Write(ref done, number);
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
        api.DestroySemaphore(device, counter, null);
        api.DestroyCommandPool(device, pool, null);
    }
}
