using Silk.NET.Vulkan;
using Tessera.Shaders;
using DeviceMemory = Tessera.Shaders.DeviceMemory;
using Buffer = Silk.NET.Vulkan.Buffer;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>Memory: device-local first; a staging buffer carries bytes where the host does not see it.</summary>
public sealed unsafe partial class VulkanDevice
{
    const int StagingBytes = 16 << 20;

    readonly CommandBuffer copies;
    VulkanMemory? staging;

    /// <summary>What the largest device-local heap can still give, by the driver's budget where it tells one.</summary>
    public long FreeBytes
    {
        get
        {
            var budget = new PhysicalDeviceMemoryBudgetPropertiesEXT { SType = StructureType.PhysicalDeviceMemoryBudgetPropertiesExt };
            bool told = Probe.Extensions.Contains("VK_EXT_memory_budget");
            var properties = new PhysicalDeviceMemoryProperties2 { SType = StructureType.PhysicalDeviceMemoryProperties2, PNext = told ? &budget : null };
            Api.GetPhysicalDeviceMemoryProperties2(Probe.Handle, &properties);
            long most = 0;
            for (int i = 0; i < (int)properties.MemoryProperties.MemoryHeapCount; i++)
            {
                var heap = properties.MemoryProperties.MemoryHeaps[i];
                if (!heap.Flags.HasFlag(MemoryHeapFlags.DeviceLocalBit)) continue;
                most = Math.Max(most, told ? (long)budget.HeapBudget[i] - (long)budget.HeapUsage[i] : (long)heap.Size);
            }
            return most;
        }
    }

    public DeviceMemory Allocate(long bytes, bool shared = false)
    {
        long free = FreeBytes;
        if (bytes > free) throw new TesseraException($"{Name}: {bytes >> 20} MiB were asked for, {free >> 20} MiB are free; use a shorter context or a smaller weight type");
        var memory = new VulkanMemory(this, bytes, shared ? VulkanUse.Shared : VulkanUse.Device);
        if (memory.Mapped is not null) new Span<byte>(memory.Mapped, checked((int)Math.Min(bytes, int.MaxValue))).Clear();
        if (memory.Mapped is null || bytes > int.MaxValue) Copy(c => Api.CmdFillBuffer(c, memory.Buffer, 0, Vk.WholeSize, 0));
        return memory;
    }

    public DeviceMemory Load(byte* bytes, long count)
    {
        var memory = Allocate(count);
        for (long at = 0; at < count; at += StagingBytes)
        {
            int piece = (int)Math.Min(StagingBytes, count - at);
            Write(new Tensor(memory, at, piece, DType.Q8, 1, piece), new ReadOnlySpan<byte>(bytes + at, piece));
        }
        return memory;
    }

    public void Write(in Tensor to, ReadOnlySpan<byte> bytes)
    {
        Wait(); // what runs may read it
        var memory = (VulkanMemory)to.Memory!;
        if (memory.Mapped is not null)
        {
            bytes.CopyTo(new Span<byte>(memory.Mapped + to.Offset, bytes.Length));
            return;
        }
        staging ??= new VulkanMemory(this, StagingBytes, VulkanUse.Staging);
        for (int at = 0; at < bytes.Length; at += StagingBytes)
        {
            int piece = Math.Min(StagingBytes, bytes.Length - at);
            bytes.Slice(at, piece).CopyTo(new Span<byte>(staging.Mapped, piece));
            CopyRegion(staging.Buffer, 0, memory.Buffer, to.Offset + at, piece);
        }
    }

    public void Read(in Tensor from, Span<byte> bytes)
    {
        Wait();
        var memory = (VulkanMemory)from.Memory!;
        if (memory.Mapped is not null)
        {
            new ReadOnlySpan<byte>(memory.Mapped + from.Offset, bytes.Length).CopyTo(bytes);
            return;
        }
        staging ??= new VulkanMemory(this, StagingBytes, VulkanUse.Staging);
        for (int at = 0; at < bytes.Length; at += StagingBytes)
        {
            int piece = Math.Min(StagingBytes, bytes.Length - at);
            CopyRegion(memory.Buffer, from.Offset + at, staging.Buffer, 0, piece);
            new ReadOnlySpan<byte>(staging.Mapped, piece).CopyTo(bytes.Slice(at, piece));
        }
    }

    /// <summary>The type of memory to take, and whether the host sees it. Device-local memory that the host sees is taken only where all of it is such (shared memory).</summary>
    internal (uint Type, bool Visible) MemoryType(uint allowed, VulkanUse use)
    {
        Api.GetPhysicalDeviceMemoryProperties(Probe.Handle, out var properties);
        const MemoryPropertyFlags Seen = MemoryPropertyFlags.HostVisibleBit | MemoryPropertyFlags.HostCoherentBit, Local = MemoryPropertyFlags.DeviceLocalBit;
        ReadOnlySpan<(MemoryPropertyFlags With, MemoryPropertyFlags Without)> wishes = use != VulkanUse.Device
            ? [(Seen | MemoryPropertyFlags.HostCachedBit, 0), (Seen, 0)]
            : [(Local, MemoryPropertyFlags.HostVisibleBit), (Local | Seen | MemoryPropertyFlags.HostCachedBit, 0), (Local | Seen, 0), (Local, 0), (0, 0)];
        foreach (var (with, without) in wishes)
            for (int i = 0; i < (int)properties.MemoryTypeCount; i++)
            {
                var flags = properties.MemoryTypes[i].PropertyFlags;
                if ((allowed >> i & 1) != 0 && (flags & with) == with && (flags & without) == 0) return ((uint)i, (flags & Seen) == Seen);
            }
        throw new TesseraException($"{Name}: no memory type fits");
    }

    void CopyRegion(Buffer from, long fromOffset, Buffer to, long toOffset, long bytes)
    {
        Begin();
        var region = new BufferCopy((ulong)fromOffset, (ulong)toOffset, (ulong)bytes);
        Api.CmdCopyBuffer(copies, from, to, 1, in region);
        End();
    }

    void Copy(Action<CommandBuffer> commands)
    {
        Begin();
        commands(copies);
        End();
    }

    void Begin()
    {
        Wait();
        var begin = new CommandBufferBeginInfo { SType = StructureType.CommandBufferBeginInfo, Flags = CommandBufferUsageFlags.OneTimeSubmitBit };
        Api.BeginCommandBuffer(copies, in begin).Check();
        Barrier(copies);
    }

    void End()
    {
        Barrier(copies);
        Api.EndCommandBuffer(copies).Check();
        Submit(copies);
        Wait();
    }
}
