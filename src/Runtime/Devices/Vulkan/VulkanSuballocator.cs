namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>Small pieces of memory out of large ones: drivers allow few allocations, and each costs time. A block goes back when nothing of it is in use.</summary>
sealed class VulkanSuballocator(VulkanDevice device)
{
    const long BlockBytes = 64 << 20, Alignment = 256;

    /// <summary>Larger memory is allocated by itself.</summary>
    public const long MaxBytes = 8 << 20;

    readonly List<Block> blocks = [];

    public VulkanMemory Take(long bytes)
    {
        long size = (bytes + Alignment - 1) / Alignment * Alignment;
        var block = blocks.Find(b => b.Used + size <= BlockBytes);
        if (block is null) blocks.Add(block = new Block(new VulkanMemory(device, BlockBytes, VulkanUse.Device)));
        var piece = new VulkanMemory(block.Memory, block.Used, bytes, () => Return(block));
        block.Used += size;
        block.Live++;
        return piece;
    }

    void Return(Block block)
    {
        if (--block.Live > 0) return;
        blocks.Remove(block);
        block.Memory.Dispose();
    }

    sealed class Block(VulkanMemory memory)
    {
        public VulkanMemory Memory { get; } = memory;
        public long Used { get; set; }
        public int Live { get; set; }
    }
}
