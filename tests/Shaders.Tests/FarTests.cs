using Tessera.Runtime.Devices;
using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>What lies beyond 2 and 4 GiB of a tensor is found: an offset that is cut to 32 bits anywhere gives other bits, or a fault.</summary>
public class FarTests(OpenDevices devices) : IClassFixture<OpenDevices>
{
    const int Dim = 64, KvHeads = 2, Tokens = 3, UsedBlocks = 2;

    const long FourGiB = 1L << 32;

    public static TheoryData<string, DType> Caches() => Everywhere(OpCases.CacheTypes);

    public static TheoryData<string, DType> Matrices() => Everywhere(OpCases.WeightTypes);

    static TheoryData<string, DType> Everywhere(DType[] types)
    {
        var all = new TheoryData<string, DType>();
        foreach (string device in TestDevices.ForModels)
            foreach (var type in types) all.Add(device, type);
        return all;
    }

    public static TheoryData<string> Devices => TestDevices.Complete;

    /// <summary>The rest: where a sign begins, and software Vulkan as if it were other devices.</summary>
    [Theory, Trait("set", "all"), MemberData(nameof(Devices))]
    public void On_every_device_beyond_2_GiB_too(string name)
    {
        foreach (long beyond in new[] { FourGiB / 2, FourGiB })
        {
            foreach (var type in OpCases.CacheTypes) Blocks(name, beyond, type);
            foreach (var type in OpCases.WeightTypes)
            {
                Experts(name, beyond, type);
                Embedding(name, beyond, type);
            }
        }
    }

    [Theory, MemberData(nameof(Caches))]
    public void Blocks_of_a_cache(string name, DType type) => Blocks(name, FourGiB, type);

    [Theory, MemberData(nameof(Matrices))]
    public void Matrices_of_experts(string name, DType type) => Experts(name, FourGiB, type);

    [Theory, MemberData(nameof(Matrices))]
    public void Rows_of_an_embedding(string name, DType type) => Embedding(name, FourGiB, type);

    /// <summary>Keys and values of a sequence whose blocks are those, stored and read again.</summary>
    void Blocks(string name, long beyond, DType type)
    {
        var device = devices[name];
        var random = new Random(1);
        Operand qkv = Fill.Rows(random, DType.F32, Tokens, 3 * KvHeads * Dim), norm = Fill.Vector(random, Dim), rope = Fill.Vector(random, Dim, Tokens);
        int[] slots = [15, 16, 17], positions = [15, 16, 17];
        byte[] Run(int firstBlock)
        {
            long first = KvBlock.Offset(type, KvHeads, Dim, firstBlock, 0);
            long used = KvBlock.Bytes(type, KvHeads, Dim, UsedBlocks);
            using Far keys = new(device, first, used), values = new(device, first, used);
            Tensor k = KvBlock.Tensor(keys.Memory, 0, type, KvHeads, Dim, firstBlock + UsedBlocks), v = k with { Memory = values.Memory };
            using var memory = new Placed(device, qkv, norm, rope, Fill.Ints([.. slots.Select(s => s + firstBlock * KvBlock.Tokens)]), Fill.Ints(positions),
                Fill.Ints(new int[Tokens]), Fill.Ints(firstBlock, firstBlock + 1), Fill.Out(DType.F32, Tokens, KvHeads * Dim, 0));
            using var recording = device.Record(gpu =>
            {
                gpu.QkRope(memory[0], memory[1], memory[1], memory[2], memory[3], k, v, KvHeads, KvHeads, 1e-6f, Tensor.None);
                gpu.Attention(memory[0], k, v, memory[6], memory[5], memory[4], Tensor.None, memory[7], KvHeads, KvHeads, 0.125f, Tensor.None);
            });
            device.Submit(recording);
            byte[] y = memory.Read(7), stored = keys.Read(), read = values.Read();
            Assert.True(stored.Any(b => b != 0) && read.Any(b => b != 0), "nothing was stored where it belongs");
            return [.. y, .. stored, .. read];
        }
        Assert.Equal(Run(0), Run((int)(beyond / KvBlock.Offset(type, KvHeads, Dim, 1, 0)) + 1));
    }

    /// <summary>The matrix of the last expert that begins there.</summary>
    void Experts(string name, long beyond, DType type)
    {
        const int Outer = 16, Ffn = 8;
        var device = devices[name];
        var random = new Random(2);
        // So wide that 511 of them come before it.
        int inner = (int)(beyond / (RouterOp.MaxExperts - 1) / Tile.Bytes(type, 2 * Outer, Tile.K) + 2) * Tile.K;
        Operand down = Fill.Weights(random, type, 2 * Outer, inner), x = Fill.Rows(random, DType.F32, 1, inner);
        byte[] Run(int expert)
        {
            var (order, groups) = GroupOp.Sorted([expert], 1, expert + 1);
            using var w = new Far(device, Tile.Bytes(type, 2 * Outer, inner) * expert, down.ByteCount);
            w.Write(down.Bytes);
            using var memory = new Placed(device, x, order, groups, Fill.Out(DType.F32, 1, 2 * Outer, 0), Fill.Out(DType.F32, 1, Ffn, 0));
            var matrices = Tensor.OfExperts(w.Memory, 0, type, expert + 1, 2 * Outer, inner);
            using var recording = device.Record(gpu =>
            {
                gpu.ExpertDown(matrices, memory[0], memory[1], memory[2], memory[3]);
                gpu.ExpertGateUp(matrices, memory[0], memory[1], memory[2], memory[4]);
            });
            device.Submit(recording);
            return [.. memory.Read(3), .. memory.Read(4)];
        }
        byte[] near = Run(0);
        Assert.Contains(near, b => b != 0);
        Assert.Equal(near, Run(RouterOp.MaxExperts - 1));
    }

    /// <summary>The last rows of an embedding, and with Q8 their scales.</summary>
    void Embedding(string name, long beyond, DType type)
    {
        const int Cols = 8192;
        var device = devices[name];
        long panel = (long)Tile.Tiles(Cols) * Tile.ValueBytes(type), panels = beyond / panel + 2;
        int rows = (int)panels * Tile.Rows;
        Operand near = Fill.Weights(new Random(3), type, Tile.Rows, Cols);
        byte[] Run(int vocabulary)
        {
            int last = Tile.Panels(vocabulary) - 1;
            long values = last * panel, scales = Tile.ScalePlane(type, vocabulary, Cols) + (long)last * Tile.Tiles(Cols) * Tile.ScaleBytes(type);
            using var table = new Far(device, values, Tile.Bytes(type, vocabulary, Cols) - values);
            table.Write(near.Bytes.AsSpan(0, (int)panel));
            table.Write(near.Bytes.AsSpan((int)panel), scales - values);
            using var memory = new Placed(device, Fill.Ints(vocabulary - 1, vocabulary - 6), Fill.Out(DType.F32, 2, Cols, 0));
            using var recording =
                device.Record(gpu => gpu.Embed(memory[0], Tensor.Weights(table.Memory, 0, type, vocabulary, Cols), memory[1], Tensor.None));
            device.Submit(recording);
            return memory.Read(1);
        }
        byte[] expected = Run(Tile.Rows);
        Assert.Contains(expected, b => b != 0);
        Assert.Equal(expected, Run(rows));
    }

    /// <summary>Where things lie, in numbers that 32 bits do not hold.</summary>
    [Fact]
    public void Offsets_are_those_of_the_layouts()
    {
        const int Many = 1 << 20;
        void Same(Int128 expected, Int128 actual) => Assert.Equal(expected, actual);
        foreach (var type in OpCases.CacheTypes)
        {
            Int128 head = 16 * 128 * type.ElementBytes() + (type == DType.Q8 ? 16 * 128 / 32 * 4 : 0);
            Same((Int128)(Many * 8L + 7) * head, KvBlock.Offset(type, 8, 128, Many, 7));
            Same((Int128)Many * 8 * head, KvBlock.Bytes(type, 8, 128, Many));
            Same((Int128)Many * 8 * head, KvBlock.Tensor(new Nowhere(1L << 50), 1L << 40, type, 8, 128, Many).Bytes);
        }
        foreach (var type in OpCases.WeightTypes)
        {
            int bits = WeightFormat.Of(type).Bits;
            Int128 tile = 512 * bits / 8, scales = type switch { DType.Q8 => 32, DType.Q4 => 48, _ => 0 };
            Same((Int128)(Many / 16) * 256 * tile, Tile.ScalePlane(type, Many, 8192));
            Same((Int128)(Many / 16) * 256 * (tile + scales), Tile.Bytes(type, Many, 8192));
            Same((Int128)(Many / 16 - 1) * 256 * tile + 255 * tile + tile - (bits + 7) / 8, Tile.ValueOffset(type, 8192, Many - 1, 8191));
            var experts = Tensor.OfExperts(new Nowhere(1L << 50), 1L << 40, type, 512, 4096, 8192);
            Same((Int128)(1L << 40) + 511 * (256 * 256 * (tile + scales)), experts.Expert(511).Offset);
        }
        Same(((Int128)Many * 256 - 1) * 32 + 30, Tile.ScaleOffset(DType.Q8, 8192, 16 * Many - 1, 8191));
        Same(((Int128)Many * 256 - 1) * 48 + 30, Tile.ScaleOffset(DType.Q4, 8192, 16 * Many - 1, 8191));
        Same(((Int128)Many * 256 - 1) * 48 + 47, Tile.ZeroOffset(DType.Q4, 8192, 16 * Many - 1, 8191));
        Same((Int128)Many * 151936 * 4, Rows.Bytes(DType.F32, Many, 151936));
        Assert.Equal(1UL << 40, Tensor.OfRows(new Nowhere(1L << 50), 1L << 40, DType.F32, Many, 151936).Address);
    }

    sealed class Nowhere(long bytes) : DeviceMemory(bytes)
    {
        public override ulong Address => 0;
        public override void Dispose() { }
    }

    /// <summary>
    /// Memory of which only the end is used. The host's becomes real as it is touched, so that the beginning is there and holds zeros; elsewhere the
    /// beginning is no memory at all.
    /// </summary>
    sealed class Far : IDisposable
    {
        readonly IDevice device;
        readonly DeviceMemory real;
        readonly long before, bytes;

        public Far(IDevice device, long before, long bytes)
        {
            bool whole = device.Name == "host";
            long needed = whole ? before + bytes : bytes;
            if (needed > device.FreeBytes) Assert.Skip($"needs {needed >> 20} MiB of {device.Name}, {device.FreeBytes >> 20} MiB are free");
            (this.device, this.bytes) = (device, bytes);
            real = device.Allocate(needed);
            this.before = whole ? before : 0;
            Memory = whole ? real : new End(real, before);
        }

        public DeviceMemory Memory { get; }

        public void Write(ReadOnlySpan<byte> data, long at = 0) => device.Write(Tensor.Packed(real, before + at, DType.Q8, 1, data.Length), data);

        public byte[] Read()
        {
            var data = new byte[bytes];
            device.Read(Tensor.Packed(real, before, DType.Q8, 1, data.Length), data);
            return data;
        }

        public void Dispose() => real.Dispose();

        sealed class End(DeviceMemory real, long before) : DeviceMemory(before + real.Bytes)
        {
            public override ulong Address => real.Address - (ulong)before;
            public override void Dispose() { }
        }
    }

    /// <summary>Operands on a device.</summary>
    sealed class Placed : IDisposable
    {
        readonly IDevice device;
        readonly List<(DeviceMemory Memory, Tensor Tensor)> all = [];

        public Placed(IDevice device, params ReadOnlySpan<Operand> operands)
        {
            this.device = device;
            foreach (var operand in operands)
            {
                var memory = device.Allocate(operand.ByteCount);
                all.Add((memory, operand.View(memory)));
                device.Write(all[^1].Tensor, operand.Bytes);
            }
        }

        public Tensor this[int i] => all[i].Tensor;

        public byte[] Read(int i)
        {
            var bytes = new byte[this[i].Bytes];
            device.Read(this[i], bytes);
            return bytes;
        }

        public void Dispose()
        {
            foreach (var (memory, _) in all) memory.Dispose();
        }
    }
}
