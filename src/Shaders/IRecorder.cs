namespace Tessera.Shaders;

/// <summary>Takes the calls of a recording in order; a later call sees what an earlier one wrote. Ops are its extension methods.</summary>
public interface IRecorder
{
    /// <summary>Appends a kernel to the recording. Tensors are in the order of <see cref="Kernel.Bindings"/>.</summary>
    void Launch<TArgs>(Kernel kernel, in TArgs args, params ReadOnlySpan<Tensor> tensors) where TArgs : unmanaged;
}

public static class Shape
{
    /// <summary>Refuses a call whose shapes do not meet its contract, naming the op and what it was given.</summary>
    public static void Require(string op, bool met, string contract, params ReadOnlySpan<Tensor> tensors)
    {
        if (met) return;
        var given = string.Join(", ", tensors.ToArray().Select(t => t.IsNone ? "none" : $"{t.Type.Name()} ({t.RowCount}, {t.Cols})"));
        throw new TesseraException($"[{op}] expects {contract}; was given {given}");
    }
}
