namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>
/// Cuts small memory out of large allocations, called slabs: drivers allow few allocations, and each costs time. A slab goes back when nothing of it is in use.
/// </summary>
sealed class VulkanSuballocator(VulkanDevice device)
{
    const long SlabBytes = 64 << 20, Alignment = 256;

    /// <summary>Larger memory is allocated by itself.</summary>
    public const long MaxBytes = 8 << 20;

    readonly List<Slab> slabs = [];

    public VulkanMemory Take(long bytes)
    {
        long size = (bytes + Alignment - 1) / Alignment * Alignment;
        var slab = slabs.Find(s => s.Used + size <= SlabBytes);
        if (slab is null) slabs.Add(slab = new Slab(new VulkanMemory(device, SlabBytes, VulkanUse.Device)));
        var memory = new VulkanMemory(slab.Memory, slab.Used, bytes, () => Release(slab));
        slab.Used += size;
        slab.Live++;
        return memory;
    }

    void Release(Slab slab)
    {
        if (--slab.Live > 0) return;
        slabs.Remove(slab);
        slab.Memory.Dispose();
    }

    sealed class Slab(VulkanMemory memory)
    {
        public VulkanMemory Memory { get; } = memory;
        public long Used { get; set; }
        public int Live { get; set; }
    }
}
