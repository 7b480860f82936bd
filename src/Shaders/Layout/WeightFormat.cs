namespace Tessera.Shaders;

/// <summary>A type of weights, as <see cref="Tile"/> lays it out; <see cref="Elements"/> says what its bits mean.</summary>
/// <param name="Bits">Of an element.</param>
/// <param name="IsQuantised">32 elements along K share a scale, a half in a plane behind the values.</param>
/// <param name="HasZero">They share what stands for zero as well, a byte, in sixteenths of a step.</param>
public sealed record WeightFormat(DType Type, int Bits, bool IsQuantised, bool HasZero = false)
{
    public static readonly WeightFormat[] All =
    [
        new(DType.F32, 32, IsQuantised: false),
        new(DType.BF16, 16, IsQuantised: false),
        new(DType.F16, 16, IsQuantised: false),
        new(DType.Q8, 8, IsQuantised: true),
        new(DType.Q4, 4, IsQuantised: true, HasZero: true),
    ];

    static readonly WeightFormat?[] byType = [.. Enum.GetValues<DType>().Select(type => All.FirstOrDefault(f => f.Type == type))];

    public string Name => Type.Name();

    /// <summary>The type of a name that people type and files carry, or null.</summary>
    public static DType? Named(string name) => All.FirstOrDefault(f => f.Name == name)?.Type;

    /// <exception cref="TesseraException">Weights have no such type.</exception>
    public static WeightFormat Of(DType type) => byType[(int)type] ?? throw new TesseraException($"weights have no type {type.Name()}");
}
