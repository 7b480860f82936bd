using System.Buffers;
using Tessera.Shaders;

namespace Tessera.Convert;

/// <summary>Does something with a panel: its source rows and how many there are; the rest of the 16 is padding.</summary>
public delegate void PanelAction(int panel, byte[] source, int rows);

/// <summary>Rows of a tensor that follow each other.</summary>
public readonly record struct HfRows(HfTensor Tensor, int First, int Count)
{
    public static HfRows All(HfTensor tensor) => new(tensor, 0, tensor.Rows);

    public void Read(int row, Span<byte> to) => Tensor.Read(First + row, to);
}

/// <summary>A tensor of the tiled file, and the rows of which it is made.</summary>
/// <param name="Parts">The rows of each matrix, as many parts for each: one behind the other, or, where <paramref name="Joined"/>, gate and up taking turns
/// panel by panel.</param>
/// <param name="Vector">One row of F32; the parts follow each other in it.</param>
/// <param name="Experts">Not null: so many matrices, one behind the other.</param>
/// <param name="FixedType">The type it is stored in whatever the others are.</param>
public sealed record HfPlan(string Name, HfRows[] Parts, bool Vector = false, bool Joined = false, int? Experts = null, DType? FixedType = null)
{
    const int MaxSourceBytes = 64 << 20;

    public DType Type => Parts[0].Tensor.Type;

    /// <summary>Rows of one matrix, with those of padding within it.</summary>
    public int Rows => Vector ? 1 : Joined ? GateUpOp.JoinedRows(Parts[0].Count) : Matrix(0).Sum(part => part.Count);

    public int Cols => Vector ? Parts.Sum(part => part.Tensor.Cols) : Parts[0].Tensor.Cols;

    public int RowBytes => Cols * Type.ElementBytes();

    /// <summary>Bytes of all its parts.</summary>
    public long SourceBytes => Parts.Sum(part => (long)part.Count * part.Tensor.Cols) * Type.ElementBytes();

    /// <summary>Reads panels of a matrix and does something with each, side by side; memory for source rows is bounded.</summary>
    /// <exception cref="TesseraException">A file was cut off or cannot be read, or the action threw.</exception>
    public void ForEachPanel(int matrix, int first, int count, PanelAction action, CancellationToken stop, int threads = 0)
    {
        int bytes = Tile.Rows * RowBytes;
        int atOnce = Math.Clamp(MaxSourceBytes / bytes, 1, threads > 0 ? threads : Environment.ProcessorCount);
        try
        {
            Parallel.For(first, first + count, new ParallelOptions { CancellationToken = stop, MaxDegreeOfParallelism = atOnce }, () =>
                ArrayPool<byte>.Shared.Rent(bytes),
                (panel, _, source) =>
                {
                    action(panel, source, Read(matrix, panel, source));
                    return source;
                }, source => ArrayPool<byte>.Shared.Return(source));
        }
        catch (AggregateException e) when (e.InnerException is TesseraException inner) { throw inner; }
    }

    int PartsEach => Parts.Length / (Experts ?? 1);

    ArraySegment<HfRows> Matrix(int matrix) => new(Parts, matrix * PartsEach, PartsEach);

    int Read(int matrix, int panel, Span<byte> to)
    {
        int bytes = RowBytes;
        if (Joined)
        {
            var part = Matrix(matrix)[panel % 2];
            int first = panel / 2 * Tile.Rows, count = Math.Min(Tile.Rows, part.Count - first);
            part.Read(first, to[..(count * bytes)]);
            return count;
        }
        int row = panel * Tile.Rows, filled = 0;
        foreach (var part in Matrix(matrix))
        {
            int count = Math.Min(Tile.Rows - filled, part.Count - row);
            if (count > 0)
            {
                part.Read(row, to.Slice(filled * bytes, count * bytes));
                filled += count;
            }
            row = Math.Max(0, row - part.Count);
            if (filled == Tile.Rows) break;
        }
        return filled;
    }

    /// <summary>The values of a vector.</summary>
    public unsafe float[] ReadVector()
    {
        var values = new float[Cols];
        int at = 0;
        foreach (var part in Parts)
        {
            var bytes = new byte[part.Tensor.Cols * Type.ElementBytes()];
            part.Read(0, bytes);
            fixed (byte* row = bytes)
                for (int i = 0; i < part.Tensor.Cols; i++) values[at++] = HfTensor.Element(row, Type, i);
        }
        return values;
    }
}
