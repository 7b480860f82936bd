using Silk.NET.Vulkan;
using Buffer = Silk.NET.Vulkan.Buffer;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>Carries bytes to and from memory that the host does not see, through a ring of two slots: one is filled while the other is copied.</summary>
sealed unsafe class VulkanStaging : IDisposable
{
    public const int SlotBytes = 8 << 20;

    const int Slots = 2;

    readonly VulkanDevice device;
    readonly VulkanMemory memory;
    readonly CommandBuffer[] commands = new CommandBuffer[Slots];
    readonly long[] copies = new long[Slots];   // the number of each slot's last submission
    int next;

    public VulkanStaging(VulkanDevice device)
    {
        this.device = device;
        memory = new VulkanMemory(device, Slots * SlotBytes, VulkanUse.Staging);
        for (int i = 0; i < Slots; i++) commands[i] = device.Queue.Commands();
    }

    /// <summary>Returns when the bytes are taken; they are there before anything submitted later.</summary>
    public void Upload(VulkanMemory to, long offset, ReadOnlySpan<byte> bytes)
    {
        for (int at = 0; at < bytes.Length; at += SlotBytes)
        {
            int count = Math.Min(SlotBytes, bytes.Length - at), slot = Take();
            bytes.Slice(at, count).CopyTo(new Span<byte>(memory.Mapped + slot * SlotBytes, count));
            Copy(slot, memory.Buffer, slot * (long)SlotBytes, to.Buffer, to.BufferOffset + offset + at, count);
        }
    }

    public void Download(VulkanMemory from, long offset, Span<byte> bytes)
    {
        for (int at = 0; at < bytes.Length; at += SlotBytes)
        {
            int count = Math.Min(SlotBytes, bytes.Length - at), slot = Take();
            Copy(slot, from.Buffer, from.BufferOffset + offset + at, memory.Buffer, slot * (long)SlotBytes, count);
            WaitFor(slot);
            new ReadOnlySpan<byte>(memory.Mapped + slot * SlotBytes, count).CopyTo(bytes.Slice(at, count));
        }
    }

    public void Clear(VulkanMemory what, long bytes)
    {
        int slot = Take();
        Begin(slot);
        device.Api.CmdFillBuffer(commands[slot], what.Buffer, (ulong)what.BufferOffset, (ulong)((bytes + 3) / 4 * 4), 0);
        End(slot);
    }

    /// <summary>The next slot, when its last copy is done.</summary>
    int Take()
    {
        int slot = next;
        next = (next + 1) % Slots;
        WaitFor(slot);
        return slot;
    }

    void WaitFor(int slot) => device.Queue.Wait(copies[slot]);

    void Copy(int slot, Buffer from, long fromOffset, Buffer to, long toOffset, long bytes)
    {
        Begin(slot);
        var region = new BufferCopy((ulong)fromOffset, (ulong)toOffset, (ulong)bytes);
        device.Api.CmdCopyBuffer(commands[slot], from, to, 1, in region);
        End(slot);
    }

    void Begin(int slot)
    {
        var begin = new CommandBufferBeginInfo { SType = StructureType.CommandBufferBeginInfo, Flags = CommandBufferUsageFlags.OneTimeSubmitBit };
        device.Api.BeginCommandBuffer(commands[slot], in begin).Check();
        device.Queue.Barrier(commands[slot]);
    }

    void End(int slot)
    {
        device.Queue.Barrier(commands[slot]);
        device.Api.EndCommandBuffer(commands[slot]).Check();
        copies[slot] = device.Queue.Submit(commands[slot]);
    }

    public void Dispose()
    {
        memory.Dispose(); // drains
        foreach (var one in commands) device.Queue.Free(one);
    }
}
