using Tessera.Runtime.Devices;
using Tessera.Shaders;

namespace Tessera.Bench;

/// <summary>A timed case on a device: the operands of one call in as many copies as together no cache holds.</summary>
sealed class OpBuffers : IDisposable
{
    const int MaxCopies = 256;
    const double MaxFlops = 4e9; // of a pass over all copies: where arithmetic takes the time, it does not matter what a cache holds

    readonly IDevice device;
    readonly List<DeviceMemory> memory = [];

    /// <exception cref="TesseraException">The device has too little memory.</exception>
    public OpBuffers(IDevice device, OpCase one)
    {
        this.device = device;
        try
        {
            var first = one.Operands();
            long own = first.Sum(o => o is null or { Shared: true } ? 0 : o.ByteCount), all = first.Sum(o => o?.ByteCount ?? 0), free = device.FreeBytes;
            if (all > free) throw new TesseraException($"needs {all >> 20} MiB, {free >> 20} are free");
            Tensor[] tensors = [.. first.Select(o => o is null ? Tensor.None : o.View(Take(o.ByteCount)))];
            var recorder = new CallList();
            one.Launch(recorder, tensors);
            Call = recorder.Calls.Single();
            double copies = Math.Min(Math.Ceiling(device.UncachedBytes / Call.Bytes(one.Work)), (free - all) / 2 / Math.Max(1, own) + 1);
            copies = Math.Clamp(Math.Min(copies, MaxFlops / Math.Max(1, Call.Flops(one.Work))), 1, MaxCopies);
            Tensor[][] each = [tensors, .. Enumerable.Range(1, (int)copies - 1).Select(copy => Copy(one.Operands(copy), tensors))];
            for (int i = 0; i < first.Length; i++)
                if (first[i] is { } operand && operand.Type != DType.I32) Write(operand, [.. each.Select(t => t[i]).Distinct()]);
                else if (first[i] is { } list) Write(list, [tensors[i]]);
            Launches = [.. each.Select(t => (Action<IRecorder>)(gpu => one.Launch(gpu, t)))];
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The call, for what it moves and computes.</summary>
    public Call Call { get; }

    /// <summary>The call on each copy.</summary>
    public IReadOnlyList<Action<IRecorder>> Launches { get; }

    public void Dispose()
    {
        foreach (var region in memory) region.Dispose();
    }

    /// <summary>Memory of its own for what is not shared; integers are of its own too, numbers are those of the first.</summary>
    Tensor[] Copy(Operand?[] operands, Tensor[] first) => [.. operands.Select((operand, i) =>
    {
        if (operand is null or { Shared: true }) return first[i];
        var own = operand.View(Take(operand.ByteCount));
        if (operand.Type == DType.I32) Write(operand, [own]);
        return own;
    })];

    void Write(Operand operand, Tensor[] to) => operand.Write((offset, part) =>
    {
        foreach (var tensor in to) device.Write(tensor with { Offset = tensor.Offset + offset, Bytes = part.Length }, part);
    });

    DeviceMemory Take(long bytes)
    {
        var region = device.Allocate(Math.Max(4, bytes));
        memory.Add(region);
        return region;
    }
}
