using Tessera.Runtime.Devices;
using Tessera.Runtime.Devices.Reference;
using Tessera.Shaders;
using Xunit;

namespace Tessera.Testing;

/// <summary>Runs one op on a device and on the reference, over the same operands, and compares.</summary>
public sealed class OpRun : IDisposable
{
    readonly IDevice device, reference = new ReferenceDevice();
    readonly List<(DeviceMemory Memory, Operand Operand, bool Device)> memory = [];
    Recording? recording;

    public OpRun(string name, params Operand?[] operands) : this(TestDevices.Open(name), operands) { }

    public OpRun(IDevice device, params Operand?[] operands)
    {
        this.device = device;
        foreach (var operand in operands)
        {
            if (operand is null) continue;
            operand.OnReference = Place(reference, operand, false);
            operand.OnDevice = Place(device, operand, true);
        }
    }

    /// <summary>Records the op on both and runs it.</summary>
    public OpRun Run(Action<IRecorder, Func<Operand?, Tensor>> op)
    {
        using (var defined = reference.Record(gpu => op(gpu, o => o is null ? Tensor.None : o.OnReference))) reference.Submit(defined);
        recording = device.Record(gpu => op(gpu, o => o is null ? Tensor.None : o.OnDevice));
        device.Submit(recording);
        device.Wait();
        return this;
    }

    /// <summary>Writes new bytes into an operand on the device and replays what was recorded there.</summary>
    public OpRun Replay(Operand? changed = null, byte[]? bytes = null)
    {
        if (changed is not null) device.Write(changed.OnDevice, bytes);
        device.Submit(recording!);
        device.Wait();
        return this;
    }

    /// <summary>Writes an operand on the device.</summary>
    public void Write(Operand operand, byte[] bytes) => device.Write(operand.OnDevice, bytes);

    public byte[] Read(Operand operand) => Read(device, operand.OnDevice);

    public byte[] ReadReference(Operand operand) => Read(reference, operand.OnReference);

    /// <summary>Normalised mean square error over the first <paramref name="rows"/> rows; bytes behind the output must be as they were.</summary>
    public void Check(Operand output, double nmse, int? rows = null)
    {
        foreach (var (at, operand, onDevice) in memory)
            if (onDevice && operand.Output)
                Assert.All(Read(device, Tensor.Packed(at, operand.Bytes.Length, DType.Q8, 1, Operand.GuardBytes)), b => Assert.Equal(Operand.Guard, b));
        Assert.Empty(Runtime.Devices.Vulkan.VulkanDevice.ValidationMessages); // of validation layers, where they are on
        var expected = Decode(ReadReference(output), output);
        var actual = Decode(Read(output), output);
        double error = 0, power = 0;
        int worst = -1;
        for (int r = 0; r < (rows ?? output.RowCount); r++)
            for (int c = 0; c < output.Cols; c++)
            {
                int i = r * output.Cols + c;
                double d = actual[i] - expected[i];
                Assert.True(double.IsFinite(d) || actual[i] == expected[i], $"[{r}, {c}]: expected {expected[i]}, actual {actual[i]}");
                if (worst < 0 || Math.Abs(d) > Math.Abs(actual[worst] - expected[worst])) worst = i;
                error += d * d;
                power += (double)expected[i] * expected[i];
            }
        Assert.True(error <= nmse * power, $"NMSE {error / power:E2} > {nmse:E2}; worst at [{worst / output.Cols}, {worst % output.Cols}]: expected {expected[worst]}, actual {actual[worst]}");
    }

    public void Dispose()
    {
        recording?.Dispose();
        foreach (var (at, _, _) in memory) at.Dispose();
        device.Dispose();
        reference.Dispose();
    }

    Tensor Place(IDevice on, Operand operand, bool isDevice)
    {
        var at = on.Allocate(operand.Bytes.Length + Operand.GuardBytes);
        memory.Add((at, operand, isDevice));
        on.Write(Tensor.Packed(at, 0, DType.Q8, 1, operand.Bytes.Length), operand.Bytes);
        on.Write(Tensor.Packed(at, operand.Bytes.Length, DType.Q8, 1, Operand.GuardBytes), Enumerable.Repeat(Operand.Guard, Operand.GuardBytes).ToArray());
        return operand.View(at);
    }

    static byte[] Read(IDevice from, Tensor tensor)
    {
        var bytes = new byte[tensor.Bytes];
        from.Read(tensor, bytes);
        return bytes;
    }

    /// <summary>What the bytes mean, (rows, cols); packed integers as numbers.</summary>
    static unsafe float[] Decode(byte[] bytes, Operand operand)
    {
        var values = new float[operand.RowCount * operand.Cols];
        fixed (byte* at = bytes)
        {
            bool packed = bytes.Length == (long)operand.RowCount * operand.Cols * operand.Type.ElementBytes();
            var memory = new Operand.Pinned(at, bytes.Length);
            for (int r = 0; r < operand.RowCount; r++)
                for (int c = 0; c < operand.Cols; c++)
                {
                    int i = r * operand.Cols + c;
                    values[i] = operand.Type switch
                    {
                        DType.I32 => ((int*)at)[i],
                        DType.F16 when packed => (float)((Half*)at)[i],
                        DType.F32 when packed => ((float*)at)[i],
                        _ => Elements.Activation(Tensor.OfRows(memory, 0, operand.Type, operand.RowCount, operand.Cols), r, c),
                    };
                }
        }
        return values;
    }
}
