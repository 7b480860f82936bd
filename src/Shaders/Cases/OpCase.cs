namespace Tessera.Shaders;

/// <summary>What an op is tried with; tests and the benchmark make of it whatever they need, on any device.</summary>
/// <param name="Equality">Small odd shapes (1, primes, one past a tile) in every type, compared with the reference.</param>
/// <param name="Race">Shapes with several groups, run many times: every run must give the bits of the first.</param>
/// <param name="Timing">The calls of a model's step, decode and prefill; none where such a model has no such call.</param>
public sealed record OpCases(IReadOnlyList<OpCase> Equality, IReadOnlyList<OpCase> Race, Func<ModelShape, StepTypes, IEnumerable<OpCase>> Timing)
{
    /// <summary>Rows of the steps that are timed: decode, and a chunk of prefill.</summary>
    public static readonly int[] TimedRows = [1, 256];

    /// <summary>Rows and columns for ops that work row by row.</summary>
    public static readonly (int Rows, int Dim)[] RowShapes = [(1, 32), (1, 64), (3, 96), (5, 100), (17, 1024), (2, 37)];

    public static readonly DType[] WeightTypes = [.. WeightFormat.All.Select(f => f.Type)];

    public static readonly DType[] ActivationTypes = [DType.F32, DType.A8], CacheTypes = [DType.F32, DType.F16, DType.Q8];

    /// <summary>Weights and the activations that they are multiplied with.</summary>
    public static IEnumerable<(DType W, DType X)> ProductTypes =>
        from w in WeightTypes from x in ActivationTypes where Panel.Multiplies(w, x) select (w, x);
}

/// <summary>One call of an op: what it is called with, and how.</summary>
/// <param name="shape">For people: rows first, then what the op calls its sizes.</param>
/// <param name="types">Of the operands that decide the body.</param>
/// <param name="operands">Makes the operands from a seed, in the order of the op's bindings; null is bound to none.</param>
/// <param name="launch">Calls the op with a tensor for each operand.</param>
public sealed class OpCase(string shape, DType[] types, Func<Random, Operand?[]> operands, Action<IRecorder, Tensor[]> launch)
{
    public string Shape { get; } = shape;

    public string Types { get; } = string.Join(' ', types.Select(t => t.Name()));

    /// <summary>No two cases of an op that are made for the same purpose share it.</summary>
    public string Name => $"{Shape} {Types}";

    public Action<IRecorder, Tensor[]> Launch { get; } = launch;

    /// <summary>How much work a timed call is.</summary>
    public Workload Work { get; init; } = Workload.Full;

    /// <summary>The operands; each copy has numbers of its own, and lists of ids of its own.</summary>
    public Operand?[] Operands(int copy = 0) => operands(new Random(Seed + copy));

    int Seed => Name.Aggregate(17, (seed, c) => unchecked(seed * 31 + c) & 0xffffff);

    public override string ToString() => Name;
}

/// <summary>The numbers of a model that decide the shapes of its calls. With experts, ffn is that of one.</summary>
public sealed record ModelShape(int Hidden, int Heads, int KvHeads, int HeadDim, int Ffn, int Vocabulary, int Experts = 0, int PerToken = 0)
{
    public int QkvCols => (Heads + 2 * KvHeads) * HeadDim;

    public bool HasExperts => Experts > 0;
}

/// <summary>The types of a model's matrices, of the activations that they are multiplied with, and of its cache.</summary>
public readonly record struct StepTypes(DType Weights, DType Activations, DType Cache);
