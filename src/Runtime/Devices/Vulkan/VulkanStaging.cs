using Silk.NET.Vulkan;
using Buffer = Silk.NET.Vulkan.Buffer;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>Carries bytes to and from memory that the host does not see, through a ring of two pieces: one is filled while the other is copied.</summary>
sealed unsafe class VulkanStaging : IDisposable
{
    public const int PieceBytes = 8 << 20;

    const int Pieces = 2;

    readonly VulkanDevice device;
    readonly VulkanMemory memory;
    readonly CommandBuffer[] commands = new CommandBuffer[Pieces];
    readonly Fence[] fences = new Fence[Pieces];
    int next;

    public VulkanStaging(VulkanDevice device)
    {
        this.device = device;
        memory = new VulkanMemory(device, Pieces * PieceBytes, VulkanUse.Staging);
        var signaled = new FenceCreateInfo { SType = StructureType.FenceCreateInfo, Flags = FenceCreateFlags.SignaledBit };
        for (int i = 0; i < Pieces; i++)
        {
            commands[i] = device.Commands();
            device.Api.CreateFence(device.Handle, in signaled, null, out fences[i]).Check();
        }
    }

    /// <summary>Returns when the bytes are taken; they are there before anything submitted later.</summary>
    public void Upload(VulkanMemory to, long offset, ReadOnlySpan<byte> bytes)
    {
        for (int at = 0; at < bytes.Length; at += PieceBytes)
        {
            int piece = Math.Min(PieceBytes, bytes.Length - at), slot = Take();
            bytes.Slice(at, piece).CopyTo(new Span<byte>(memory.Mapped + slot * PieceBytes, piece));
            Copy(slot, memory.Buffer, slot * (long)PieceBytes, to.Buffer, to.BufferOffset + offset + at, piece);
        }
    }

    public void Download(VulkanMemory from, long offset, Span<byte> bytes)
    {
        for (int at = 0; at < bytes.Length; at += PieceBytes)
        {
            int piece = Math.Min(PieceBytes, bytes.Length - at), slot = Take();
            Copy(slot, from.Buffer, from.BufferOffset + offset + at, memory.Buffer, slot * (long)PieceBytes, piece);
            WaitFor(slot);
            new ReadOnlySpan<byte>(memory.Mapped + slot * PieceBytes, piece).CopyTo(bytes.Slice(at, piece));
        }
    }

    public void Clear(VulkanMemory what, long bytes)
    {
        int slot = Take();
        Begin(slot);
        device.Api.CmdFillBuffer(commands[slot], what.Buffer, (ulong)what.BufferOffset, (ulong)((bytes + 3) / 4 * 4), 0);
        End(slot);
    }

    /// <summary>The next piece, when its last copy is done.</summary>
    int Take()
    {
        int slot = next;
        next = (next + 1) % Pieces;
        WaitFor(slot);
        return slot;
    }

    void WaitFor(int slot) => device.WaitFor(fences[slot]);

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
        device.Barrier(commands[slot]);
    }

    void End(int slot)
    {
        device.Barrier(commands[slot]);
        device.Api.EndCommandBuffer(commands[slot]).Check();
        device.Api.ResetFences(device.Handle, 1, in fences[slot]).Check();
        device.Enqueue(commands[slot], fences[slot]);
    }

    public void Drain()
    {
        for (int i = 0; i < Pieces; i++) WaitFor(i);
    }

    public void Dispose()
    {
        memory.Dispose(); // drains
        for (int i = 0; i < Pieces; i++)
        {
            device.Api.DestroyFence(device.Handle, fences[i], null);
            device.Free(commands[i]);
        }
    }
}
