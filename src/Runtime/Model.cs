using Tessera.Runtime.Devices;
using Tessera.Runtime.Files;
using Tessera.Runtime.Models;
using Tessera.Runtime.Sampling;
using Tessera.Runtime.Tokens;

namespace Tessera;

/// <summary>A model on a device: its weights, and what turns messages into tokens and back. It may be used by any thread; its runner has one owner.</summary>
/// <remarks>Weights and device go with the last that uses them: a model that is disposed stays until its runner is.</remarks>
public sealed class Model : IDisposable
{
    readonly Lock gate = new();
    readonly TiledFile? file;                            // what the weights lie in; null: they were made up
    readonly LoadedModel loaded;
    readonly BatchLimits limits;
    readonly DType? cache;
    int users = 1;                                       // the model itself, and its runner
    bool disposed, leased;

    Model(TiledFile? file, TiledIndex info, IDevice device, LoadedModel loaded, ModelOptions options, FitPlan plan)
    {
        (this.file, Info, Device, this.loaded, Numerics, cache) = (file, info, device, loaded, options.Numerics, options.Cache?.Cache());
        limits = plan.Limits;
        Tokenizer = file?.Has("tokenizer") is true ? Tokenizer.Unpack(file.Span(file.Find("tokenizer"))) : null;
        Template = file?.Has("chat_template") is true
            ? new ChatTemplate(System.Text.Encoding.UTF8.GetString(file.Span(file.Find("chat_template")))) : null;
    }

    /// <summary>Maps a tiled file and puts its model on a device.</summary>
    /// <exception cref="TesseraException">The file is broken, the device unusable, or model and context do not fit: one line that says so.</exception>
    /// <exception cref="OperationCanceledException">Stopped; nothing stays behind.</exception>
    public static Model Load(string path, ModelOptions? options = null, CancellationToken stop = default)
    {
        options ??= new ModelOptions();
        var file = TiledFile.Open(path);
        try
        {
            return On(FitRequest.For(file, options), options, stop, file, file.Index,
                device => LoadedModel.From(file, device, copied => options.OnProgress?.Invoke(copied, file.Bytes), stop));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>A model of a real shape with random weights, without a tokenizer.</summary>
    /// <param name="shape">See <see cref="Synthetic.Shapes"/>.</param>
    /// <exception cref="TesseraException">There is no such shape, the device is unusable, or it cannot hold the model.</exception>
    public static Model OfShape(string shape, DType type, ModelOptions? options = null)
    {
        options ??= new ModelOptions();
        if (!Synthetic.Shapes.TryGetValue(shape, out var config))
            throw new TesseraException($"shape {shape}: expected {string.Join(", ", Synthetic.Shapes.Keys)}");
        var info = new TiledIndex { Name = shape, Architecture = "qwen3", Config = config, Generation = new GenerationDefaults(), Segments = [] };
        var request = new FitRequest(shape, config, type, Synthetic.Bytes(config, type), options);
        return On(request, options, default, null, info, device => Synthetic.Make(config, type, device));
    }

    static Model On(FitRequest request, ModelOptions options, CancellationToken stop, TiledFile? file, TiledIndex info, Func<IDevice, LoadedModel> load)
    {
        request.Check();
        var device = Choose(request, options, out var plan);
        LoadedModel? loaded = null;
        try
        {
            loaded = load(device);
            var model = new Model(file, info, device, loaded, options, plan);
            stop.ThrowIfCancellationRequested();
            return model;
        }
        catch
        {
            loaded?.Dispose();
            device.Dispose();
            throw;
        }
    }

    /// <summary>Opens the device that was named, or the first that can hold the model.</summary>
    static IDevice Choose(FitRequest request, ModelOptions options, out FitPlan plan)
    {
        FitPlan? chosen = null;
        // On the host the weights stay in the page cache, which counts as free: they must find room there.
        string? Refuse(IDevice device) =>
            (chosen = Fit.Plan(request, device.FreeBytes, device.MaxAllocationBytes)).Fits ? null : Fit.Refuse(request, chosen, device.Name);
        IDevice device;
        if (options.Device is null) device = DeviceCatalog.OpenFirst(options.Threads, Refuse, line => options.OnStatus?.Invoke(line));
        else
        {
            device = DeviceCatalog.Open(options.Device, options.Threads);
            if (Refuse(device) is { } refusal)
            {
                device.Dispose();
                throw new TesseraException(refusal);
            }
        }
        plan = chosen!;
        options.OnStatus?.Invoke(Fit.Describe(request, plan, $"{device.Name} ({device.Description})"));
        return device;
    }

    /// <summary>The model's name, sizes and defaults.</summary>
    public TiledIndex Info { get; }

    /// <summary>Where it is. Its runner's owner is the only one that may call it.</summary>
    internal IDevice Device { get; }

    public Numerics Numerics { get; }

    /// <summary>Null where the file holds no tokenizer.</summary>
    public Tokenizer? Tokenizer { get; }

    /// <summary>Null where the file holds no chat template.</summary>
    public ChatTemplate? Template { get; }

    /// <summary>The type of the matrices.</summary>
    public DType WeightType => loaded.Weights.Type;

    /// <summary>Bytes of weights that every decode step reads.</summary>
    public long StepBytes => loaded.Weights.StepBytes;

    /// <summary>Ids the tokenizer knows; without one, all rows of the head.</summary>
    public int RealIds => Math.Min(Tokenizer?.Count ?? int.MaxValue, Info.Config.Vocabulary);

    /// <summary>What computes its steps and keeps its cache, as large as was found to fit: for one owner, who disposes it.</summary>
    /// <exception cref="TesseraException">It has a runner already.</exception>
    /// <exception cref="ObjectDisposedException">It is disposed.</exception>
    public Runner OpenRunner()
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            if (leased) throw new TesseraException($"{Info.Name}: expected no runner, found one that is in use; dispose it, or load the model again");
            (leased, users) = (true, users + 1);
        }
        try { return new Runner(Device, Info.Config, loaded.Weights, Numerics, RealIds, limits, cache) { OnDisposed = Return }; }
        catch
        {
            Return();
            throw;
        }
    }

    void Return()
    {
        lock (gate) leased = false;
        Leave();
    }

    /// <summary>One user less; the last takes weights, device and file away.</summary>
    void Leave()
    {
        lock (gate) if (--users > 0) return;
        loaded.Dispose();
        Device.Dispose();
        file?.Dispose();
    }

    public void Dispose()
    {
        lock (gate)
        {
            if (disposed) return;
            disposed = true;
        }
        Leave();
    }
}
