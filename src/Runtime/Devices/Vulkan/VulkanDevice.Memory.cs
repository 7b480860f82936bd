using Silk.NET.Vulkan;
using Tessera.Shaders;
using DeviceMemory = Tessera.Shaders.DeviceMemory;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>Memory: device-local first; a ring of staging memory carries bytes where the host does not see it.</summary>
public sealed unsafe partial class VulkanDevice
{
    readonly VulkanSuballocator suballocator;
    VulkanStaging? staging;

    /// <summary>What the largest device-local heap can still give, by the driver's budget where it has one.</summary>
    public long FreeBytes
    {
        get
        {
            var budget = new PhysicalDeviceMemoryBudgetPropertiesEXT { SType = StructureType.PhysicalDeviceMemoryBudgetPropertiesExt };
            bool hasBudget = Probe.Extensions.Contains("VK_EXT_memory_budget");
            var properties = new PhysicalDeviceMemoryProperties2 { SType = StructureType.PhysicalDeviceMemoryProperties2, PNext = hasBudget ? &budget : null };
            Api.GetPhysicalDeviceMemoryProperties2(Probe.Handle, &properties);
            long largest = 0;
            for (int i = 0; i < (int)properties.MemoryProperties.MemoryHeapCount; i++)
            {
                var heap = properties.MemoryProperties.MemoryHeaps[i];
                if (!heap.Flags.HasFlag(MemoryHeapFlags.DeviceLocalBit)) continue;
                largest = Math.Max(largest, hasBudget ? (long)budget.HeapBudget[i] - (long)budget.HeapUsage[i] : (long)heap.Size);
            }
            return largest;
        }
    }

    public long MaxAllocationBytes => Probe.MaxAllocationBytes;

    /// <summary>For tests: memory is treated as if the host did not see it.</summary>
    internal bool Staged { get; init; }

    public DeviceMemory Allocate(long bytes, bool shared = false)
    {
        long free = FreeBytes;
        if (bytes > free)
            throw new TesseraException($"{Name}: {bytes >> 20} MiB were asked for, {free >> 20} MiB are free; use a shorter context or a smaller weight type");
        if (bytes > MaxAllocationBytes)
            throw new TesseraException($"{Name}: {bytes >> 20} MiB were asked for in one allocation, the device gives at most {MaxAllocationBytes >> 20} MiB; "
                + "use a shorter context or a smaller weight type");
        var memory = shared ? new VulkanMemory(this, bytes, VulkanUse.Shared)
            : bytes <= VulkanSuballocator.MaxBytes ? suballocator.Take(bytes)
            : new VulkanMemory(this, bytes, VulkanUse.Device);
        if (bytes > 0 && (memory.Mapped is null || bytes > int.MaxValue)) Staging.Clear(memory, bytes);
        else new Span<byte>(memory.Mapped, (int)bytes).Clear();
        return memory;
    }

    public DeviceMemory Load(byte* bytes, long count, Action<long>? copied = null)
    {
        var memory = (VulkanMemory)Allocate(count);
        try
        {
            for (long at = 0; at < count; at += VulkanStaging.SlotBytes)
            {
                int part = (int)Math.Min(VulkanStaging.SlotBytes, count - at);
                Write(memory, at, new ReadOnlySpan<byte>(bytes + at, part));
                copied?.Invoke(part);
            }
            return memory;
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    public void Write(in Tensor to, ReadOnlySpan<byte> bytes) => Write((VulkanMemory)to.Memory!, to.Offset, bytes);

    void Write(VulkanMemory memory, long offset, ReadOnlySpan<byte> bytes)
    {
        if (memory.Mapped is null)
        {
            Staging.Upload(memory, offset, bytes);
            return;
        }
        Wait(); // what runs may read it
        bytes.CopyTo(new Span<byte>(memory.Mapped + offset, bytes.Length));
    }

    public void Read(in Tensor from, Span<byte> bytes)
    {
        Wait();
        var memory = (VulkanMemory)from.Memory!;
        if (memory.Mapped is null) Staging.Download(memory, from.Offset, bytes);
        else new ReadOnlySpan<byte>(memory.Mapped + from.Offset, bytes.Length).CopyTo(bytes);
    }

    /// <summary>Waits for recordings and for copies on their way, before what they use goes; on a lost device there is nothing to wait for.</summary>
    internal void Drain()
    {
        try { Queue.Wait(); }
        catch (DeviceLostException) { }
    }

    VulkanStaging Staging => staging ??= new VulkanStaging(this);

    /// <summary>
    /// The type of memory to take, and whether the host sees it. Device-local memory that the host sees is taken only where all of it is such (shared memory).
    /// </summary>
    internal (uint Type, bool Visible) MemoryType(uint allowed, VulkanUse use)
    {
        Api.GetPhysicalDeviceMemoryProperties(Probe.Handle, out var properties);
        const MemoryPropertyFlags Seen = MemoryPropertyFlags.HostVisibleBit | MemoryPropertyFlags.HostCoherentBit, Local = MemoryPropertyFlags.DeviceLocalBit;
        ReadOnlySpan<(MemoryPropertyFlags With, MemoryPropertyFlags Without)> preferences = use != VulkanUse.Device
            ? [(Seen | MemoryPropertyFlags.HostCachedBit, 0), (Seen, 0)]
            : [(Local, MemoryPropertyFlags.HostVisibleBit), (Local | Seen | MemoryPropertyFlags.HostCachedBit, 0), (Local | Seen, 0), (Local, 0), (0, 0)];
        foreach (var (with, without) in preferences)
            for (int i = 0; i < (int)properties.MemoryTypeCount; i++)
            {
                var flags = properties.MemoryTypes[i].PropertyFlags;
                if ((allowed >> i & 1) != 0 && (flags & with) == with && (flags & without) == 0) return ((uint)i, (flags & Seen) == Seen);
            }
        throw new TesseraException($"{Name}: no memory type fits");
    }
}
