using Silk.NET.Vulkan;
using DeviceMemory = Tessera.Shaders.DeviceMemory;

namespace Tessera.Runtime.Devices.Vulkan;

/// <summary>What memory is for: kernels; kernels and the host in every step; copies only.</summary>
enum VulkanUse { Device, Shared, Staging }

/// <summary>A buffer with a device address and memory of its own; mapped where the host sees it.</summary>
sealed unsafe class VulkanMemory : DeviceMemory
{
    readonly VulkanDevice device;
    readonly Silk.NET.Vulkan.DeviceMemory memory;
    readonly Action? release;            // null: the memory is its own

    public VulkanMemory(VulkanDevice device, long bytes, VulkanUse use) : base(bytes)
    {
        this.device = device;
        bool staging = use == VulkanUse.Staging;
        var info = new BufferCreateInfo
        {
            SType = StructureType.BufferCreateInfo, Size = (ulong)Math.Max(256, (bytes + 255) / 256 * 256),
            Usage = BufferUsageFlags.TransferSrcBit | BufferUsageFlags.TransferDstBit
                | (staging ? 0 : BufferUsageFlags.StorageBufferBit | BufferUsageFlags.ShaderDeviceAddressBit),
        };
        device.Api.CreateBuffer(device.Handle, in info, null, out var buffer).Check();
        Buffer = buffer;
        device.Api.GetBufferMemoryRequirements(device.Handle, buffer, out var needs);
        (uint type, bool visible) = device.MemoryType(needs.MemoryTypeBits, use);
        var flags = new MemoryAllocateFlagsInfo { SType = StructureType.MemoryAllocateFlagsInfo, Flags = MemoryAllocateFlags.DeviceAddressBit };
        var allocate = new MemoryAllocateInfo
        {
            SType = StructureType.MemoryAllocateInfo, AllocationSize = needs.Size, MemoryTypeIndex = type, PNext = staging ? null : &flags,
        };
        var result = device.Api.AllocateMemory(device.Handle, in allocate, null, out memory);
        if (result != Result.Success)
        {
            device.Api.DestroyBuffer(device.Handle, buffer, null);
            throw new TesseraException($"{device.Name}: vkAllocateMemory({bytes >> 20} MiB) = {result}, {device.FreeBytes >> 20} MiB are free; "
                + "use a shorter context or a smaller weight type");
        }
        device.Api.BindBufferMemory(device.Handle, buffer, memory, 0).Check();
        if (visible && !(use == VulkanUse.Device && device.Staged))
        {
            void* at;
            device.Api.MapMemory(device.Handle, memory, 0, Vk.WholeSize, 0, &at).Check();
            Mapped = (byte*)at;
        }
        if (staging) return;
        var address = new BufferDeviceAddressInfo { SType = StructureType.BufferDeviceAddressInfo, Buffer = buffer };
        Address = device.Api.GetBufferDeviceAddress(device.Handle, in address);
    }

    /// <summary>A part of other memory.</summary>
    public VulkanMemory(VulkanMemory whole, long offset, long bytes, Action release) : base(bytes)
    {
        (device, this.release, Buffer, BufferOffset, Address) = (whole.device, release, whole.Buffer, offset, whole.Address + (ulong)offset);
        if (whole.Mapped is not null) Mapped = whole.Mapped + offset;
    }

    public Silk.NET.Vulkan.Buffer Buffer { get; }

    /// <summary>Where it begins in the buffer.</summary>
    public long BufferOffset { get; }

    /// <summary>Null where the host does not see it.</summary>
    public byte* Mapped { get; }

    public override ulong Address { get; }

    public override void Dispose()
    {
        device.Drain();
        if (release is not null)
        {
            release();
            return;
        }
        device.Api.DestroyBuffer(device.Handle, Buffer, null);
        device.Api.FreeMemory(device.Handle, memory, null);
    }
}
