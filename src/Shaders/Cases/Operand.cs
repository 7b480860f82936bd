namespace Tessera.Shaders;

/// <summary>How the bytes of an operand lie, which says how they are compared.</summary>
public enum OperandForm
{
    /// <summary>Matrices in panels.</summary>
    Panels,
    /// <summary>Rows of activations, padded.</summary>
    Rows,
    /// <summary>Rows without padding, one for each row of the call.</summary>
    Packed,
    /// <summary>A list that belongs to the call as a whole.</summary>
    List,
    /// <summary>Keys or values of a layer.</summary>
    Cache,
}

/// <summary>A tensor of a case before it is on a device: shape, content, and how its result is judged. Made by <see cref="Fill"/>.</summary>
public sealed unsafe class Operand
{
    /// <summary>Four bytes of it are a NaN, and -1 as an integer.</summary>
    public const byte Poison = 0xFF;

    /// <summary>Takes a part of the content.</summary>
    public delegate void Part(long offset, ReadOnlySpan<byte> bytes);

    readonly Action<Part> content;
    readonly Func<DeviceMemory, Tensor> view;
    byte[]? bytes;

    internal Operand(OperandForm form, DType type, int rows, int cols, long byteCount, Func<DeviceMemory, Tensor> view, Action<Part> content) =>
        (Form, Type, RowCount, Cols, ByteCount, this.view, this.content) = (form, type, rows, cols, byteCount, view, content);

    public OperandForm Form { get; }

    public DType Type { get; }

    public int RowCount { get; }

    public int Cols { get; }

    public long ByteCount { get; }

    /// <summary>The op writes it: the normalised mean square error that is allowed. Null: it is only read. Integers must be equal.</summary>
    public double? Bound { get; private init; }

    /// <summary>Each launch reads another part of it, so that one is enough for all copies of a case.</summary>
    public bool Shared { get; private init; }

    /// <summary>The content; what the op only writes is poison.</summary>
    public byte[] Bytes
    {
        get
        {
            if (bytes is not null) return bytes;
            var all = new byte[ByteCount];
            content((offset, part) => part.CopyTo(all.AsSpan((int)offset)));
            return bytes = all;
        }
    }

    /// <summary>The same content, read and written.</summary>
    public Operand InOut(double bound) => new(Form, Type, RowCount, Cols, ByteCount, view, Write) { Bound = bound };

    /// <summary>The same, one for all copies.</summary>
    public Operand Share() => new(Form, Type, RowCount, Cols, ByteCount, view, Write) { Shared = true };

    /// <summary>Gives the content part by part: large matrices repeat some panels and are never whole in memory.</summary>
    public void Write(Part to)
    {
        if (bytes is not null) to(0, bytes);
        else content(to);
    }

    /// <summary>The tensor over memory that begins with the content.</summary>
    public Tensor View(DeviceMemory memory) => view(memory);

    /// <summary>What bytes of this shape mean, (rows, cols).</summary>
    public float[] Decode(ReadOnlySpan<byte> of)
    {
        var values = new float[RowCount * Cols];
        fixed (byte* at = of)
        {
            var rows = Form == OperandForm.Rows ? Tensor.OfRows(new Pinned(at, of.Length), 0, Type, RowCount, Cols) : Tensor.None;
            for (int i = 0; i < values.Length; i++)
                values[i] = Form == OperandForm.Rows ? Elements.Activation(rows, i / Cols, i % Cols) : Type switch
                {
                    DType.I32 => ((int*)at)[i],
                    DType.F16 => (float)((Half*)at)[i],
                    _ => ((float*)at)[i],
                };
        }
        return values;
    }

    /// <summary>Memory of the caller, while it stays where it is.</summary>
    internal sealed class Pinned(byte* at, long bytes) : DeviceMemory(bytes)
    {
        public override ulong Address => (ulong)at;
        public override void Dispose() { }
    }
}
