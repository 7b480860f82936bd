using Tessera.Runtime.Devices;
using Tessera.Runtime.Devices.Reference;
using Tessera.Shaders;
using Xunit;

namespace Tessera.Testing;

/// <summary>Runs calls on a device and on the reference, over the same operands with guards behind what is written, and compares.</summary>
public sealed class OpRun : IDisposable
{
    const int GuardBytes = 256;
    const byte Guard = 0xA5;

    readonly IDevice device, reference = new ReferenceDevice();
    readonly Dictionary<Operand, (DeviceMemory OnDevice, DeviceMemory OnReference)> placed = [];
    Recording? recording, definition;

    /// <param name="device">Stays the caller's.</param>
    /// <param name="operands">All that the calls are bound to.</param>
    public OpRun(IDevice device, params IEnumerable<Operand?> operands)
    {
        this.device = device;
        foreach (var operand in operands)
            if (operand is not null && !placed.ContainsKey(operand)) placed.Add(operand, (Place(device, operand), Place(reference, operand)));
    }

    IEnumerable<Operand> Outputs => placed.Keys.Where(o => o.Bound is not null);

    /// <summary>Records calls on both, and runs them.</summary>
    public OpRun Run(Action<IRecorder, Func<Operand?, Tensor>> calls)
    {
        recording?.Dispose();
        definition?.Dispose();
        definition = reference.Record(gpu => calls(gpu, o => o is null ? Tensor.None : o.View(placed[o].OnReference)));
        recording = device.Record(gpu => calls(gpu, o => o is null ? Tensor.None : o.View(placed[o].OnDevice)));
        reference.Submit(definition);
        Replay();
        return this;
    }

    /// <summary>Runs on the device what was recorded.</summary>
    public void Replay()
    {
        device.Submit(recording!);
        device.Wait();
    }

    /// <summary>Gives what the calls write its first content back, poison where they only write, and runs them again on the device.</summary>
    public void ReplayAfresh()
    {
        foreach (var output in Outputs) device.Write(output.View(placed[output].OnDevice), output.Bytes);
        Replay();
    }

    /// <summary>Both, afresh, with so many rows.</summary>
    public void Run(Operand count, int rows)
    {
        Write(count, BitConverter.GetBytes(rows));
        foreach (var output in Outputs) reference.Write(output.View(placed[output].OnReference), output.Bytes);
        reference.Submit(definition!);
        ReplayAfresh();
    }

    /// <summary>Writes an operand on both.</summary>
    public void Write(Operand operand, byte[] bytes)
    {
        device.Write(operand.View(placed[operand].OnDevice), bytes);
        reference.Write(operand.View(placed[operand].OnReference), bytes);
    }

    public byte[] Read(Operand operand) => Read(device, operand.View(placed[operand].OnDevice));

    public byte[] ReadReference(Operand operand) => Read(reference, operand.View(placed[operand].OnReference));

    /// <summary>Everything that the calls write is what the reference writes, within its bound, and nothing else was written.</summary>
    public OpRun Check()
    {
        foreach (var output in Outputs) Check(output);
        return this;
    }

    /// <summary>What the calls wrote has the bits of their canonical bodies.</summary>
    public void CheckCanonical()
    {
        foreach (var output in Outputs) reference.Write(output.View(placed[output].OnReference), output.Bytes);
        foreach (var call in definition!.Calls) call.Kernel.Canonical!(call, 0, call.Units);
        foreach (var output in Outputs) Assert.Equal(ReadReference(output), Read(output));
    }

    /// <summary>With every smaller number of rows: the same bits for those, and nothing written behind them. What belongs to no row is what the reference
    /// makes of so many.</summary>
    public void CheckFewerRows(Operand count)
    {
        int all = BitConverter.ToInt32(count.Bytes);
        var whole = Outputs.ToDictionary(o => o, Read);
        for (int rows = 0; rows < all; rows++)
        {
            Run(count, rows);
            foreach (var output in Outputs)
            {
                if (output.Form is OperandForm.List or OperandForm.Cache)
                {
                    Check(output);
                    continue;
                }
                int end = output.Bytes.Length / all * rows;
                byte[] fewer = Read(output);
                Assert.Equal(whole[output].AsSpan(0, end), fewer.AsSpan(0, end));
                Assert.Equal(output.Bytes.AsSpan(end), fewer.AsSpan(end));
            }
        }
    }

    void Check(Operand output)
    {
        byte[] expected = ReadReference(output), actual = Read(output);
        Assert.All(Read(device, Tensor.Packed(placed[output].OnDevice, output.ByteCount, DType.Q8, 1, GuardBytes)), b => Assert.Equal(Guard, b));
        Assert.Empty(Runtime.Devices.Vulkan.VulkanDevice.ValidationMessages); // of validation layers, where they are on
        if (output is { Form: OperandForm.Rows, Type: DType.A8 }) CheckSums(output, actual);
        if (output.Form == OperandForm.Cache) CacheComparison.Check(output, expected, actual);
        else if (output.Type == DType.I32) Assert.Equal(expected, actual);
        else CheckNumbers(output, output.Decode(expected), output.Decode(actual));
    }

    /// <summary>A row of A8 says itself what its bytes add up to, which products take on trust; rows that are not there keep the poison.</summary>
    static void CheckSums(Operand output, byte[] actual)
    {
        for (int row = 0; row < output.RowCount; row++)
        {
            var bytes = actual.AsSpan(row * Rows.Stride(DType.A8, output.Cols));
            for (int tile = 0; tile < Tile.Tiles(output.Cols); tile++)
            {
                if (BitConverter.ToInt32(bytes[(Rows.ScaleOffset(output.Cols) + 4 * tile)..]) == -1) continue;
                int sum = 0;
                foreach (byte b in bytes.Slice(tile * Tile.K, Tile.K)) sum += (sbyte)b;
                int told = BitConverter.ToInt32(bytes[(Rows.SumOffset(output.Cols) + 4 * tile)..]);
                Assert.True(told == sum, $"row {row}, block {tile}: its bytes add up to {sum}, it says {told}");
            }
        }
    }

    /// <summary>Normalised mean square error.</summary>
    static void CheckNumbers(Operand output, float[] expected, float[] actual)
    {
        double error = 0, power = 0;
        int worst = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            if (expected[i] == actual[i] && !float.IsFinite(expected[i])) continue;
            if (BitConverter.SingleToInt32Bits(expected[i]) == -1 && BitConverter.SingleToInt32Bits(actual[i]) == -1) continue; // poison, which stays
            double d = actual[i] - (double)expected[i];
            Assert.True(double.IsFinite(d), $"[{i / output.Cols}, {i % output.Cols}]: expected {expected[i]}, actual {actual[i]}");
            if (Math.Abs(d) > Math.Abs(actual[worst] - expected[worst])) worst = i;
            error += d * d;
            power += (double)expected[i] * expected[i];
        }
        Assert.True(error <= output.Bound * power,
            $"NMSE {error / power:E2} > {output.Bound:E2}; worst at [{worst / output.Cols}, {worst % output.Cols}]: "
            + $"expected {expected[worst]}, actual {actual[worst]}");
    }

    public void Dispose()
    {
        recording?.Dispose();
        definition?.Dispose();
        foreach (var (onDevice, onReference) in placed.Values)
        {
            onDevice.Dispose();
            onReference.Dispose();
        }
        reference.Dispose();
    }

    static DeviceMemory Place(IDevice on, Operand operand)
    {
        var at = on.Allocate(operand.ByteCount + GuardBytes);
        operand.Write((offset, part) => on.Write(Tensor.Packed(at, offset, DType.Q8, 1, part.Length), part));
        on.Write(Tensor.Packed(at, operand.ByteCount, DType.Q8, 1, GuardBytes), Enumerable.Repeat(Guard, GuardBytes).ToArray());
        return at;
    }

    static byte[] Read(IDevice from, Tensor tensor)
    {
        var bytes = new byte[tensor.Bytes];
        from.Read(tensor, bytes);
        return bytes;
    }
}
